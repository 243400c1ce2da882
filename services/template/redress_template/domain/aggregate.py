"""How template folds a complaint, and what is projected of it."""

from redress_spine.aggregate import Aggregate
from redress_template.domain.complaint import Complaint
from redress_template.domain.lists import PROJECTIONS
from redress_template.domain.observed import OBSERVES, observe
from redress_template.domain.own import evolve

AGGREGATE = Aggregate(Complaint, observe, evolve, OBSERVES, projections=PROJECTIONS)
AGGREGATES = {"complaint": AGGREGATE}
