"""How sla-monitor folds a complaint, and what is projected of it."""

from redress_sla_monitor.domain.lists import PROJECTIONS
from redress_sla_monitor.domain.observed import OBSERVES, observe
from redress_sla_monitor.domain.own import evolve
from redress_sla_monitor.domain.watch import Watch
from redress_spine.aggregate import Aggregate

AGGREGATE = Aggregate(Watch, observe, evolve, OBSERVES, projections=PROJECTIONS)
AGGREGATES = {"complaint": AGGREGATE}
