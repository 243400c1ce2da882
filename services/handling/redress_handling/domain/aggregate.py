"""How handling folds a complaint, and what is projected of it."""

from redress_handling.domain.case import Case
from redress_handling.domain.history import entries
from redress_handling.domain.lists import PROJECTIONS
from redress_handling.domain.observed import OBSERVES, observe
from redress_handling.domain.own import evolve
from redress_spine.aggregate import Aggregate

AGGREGATE = Aggregate(Case, observe, evolve, OBSERVES, entries, projections=PROJECTIONS)
AGGREGATES = {"complaint": AGGREGATE}
