"""How triage folds a complaint, and what is projected of it."""

from redress_spine.aggregate import Aggregate
from redress_triage.domain.complaint import Complaint
from redress_triage.domain.lists import PROJECTIONS
from redress_triage.domain.observed import OBSERVES, observe
from redress_triage.domain.own import evolve

AGGREGATE = Aggregate(Complaint, observe, evolve, OBSERVES, projections=PROJECTIONS)
AGGREGATES = {"complaint": AGGREGATE}
