"""How triage folds a complaint, and what is projected of it."""

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_spine.aggregate import Aggregate
from redress_triage.domain.complaint import Complaint, evolve, observe
from redress_triage.domain.lists import PROJECTIONS

AGGREGATE = Aggregate(
    Complaint, observe, evolve, observes=(ComplaintRegistered, CaseTransferred, ComplaintReopened, ComplaintClosed), projections=PROJECTIONS
)
AGGREGATES = {"complaint": AGGREGATE}
