"""What triage does by itself, and the list that it keeps."""

from __future__ import annotations

from functools import partial

from redress_spine.aggregate import Automation
from redress_spine.store.states import Query
from redress_triage.domain.classify import classify, text_of
from redress_triage.domain.lists import WAITING
from redress_triage.policies import rules_in_force

RULES = rules_in_force()

CLASSIFY = Automation(
    "classify",
    due="to_classify",
    decide=partial(classify, rules=RULES),
    index="waiting_to_classify",
    opens=text_of,
    actor=RULES.actor,
    table=WAITING,
)
REVIEWS = Query(name="reviews", where="review_since IS NOT NULL", order="review_since", index="waiting_review_since", table=WAITING)
