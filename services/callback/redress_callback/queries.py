"""The list of customers to be called."""

from redress_callback.domain.lists import VISITS
from redress_spine.store.states import Query

TO_VISIT = Query("visits", where="to_call IS NOT NULL", order="to_call", index="visits_to_call", near="visits_to_call_in", table=VISITS)
QUERIES = [TO_VISIT]
