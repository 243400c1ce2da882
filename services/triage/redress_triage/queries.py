"""The list of what waits for a person."""

from redress_spine.store.states import Query
from redress_triage.domain.lists import WAITING

REVIEWS = Query(
    name="reviews",
    where="review_since IS NOT NULL",
    order="review_since",
    index="waiting_review_since",
    near="waiting_review_since_in",
    table=WAITING,
)
QUERIES = [REVIEWS]
