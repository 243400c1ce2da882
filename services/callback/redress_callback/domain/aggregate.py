"""How callback folds a complaint, and what is projected of it."""

from redress_callback.domain.history import entries
from redress_callback.domain.lists import PROJECTIONS
from redress_callback.domain.observed import OBSERVES, observe
from redress_callback.domain.own import evolve
from redress_callback.domain.visit import Visit
from redress_spine.aggregate import Aggregate

AGGREGATE = Aggregate(Visit, observe, evolve, OBSERVES, entries, projections=PROJECTIONS)
AGGREGATES = {"complaint": AGGREGATE}
