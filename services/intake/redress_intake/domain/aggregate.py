"""How intake folds a complaint, and what is projected of it."""

from redress_intake.domain import subscription
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.history import entries
from redress_intake.domain.lists import PROJECTIONS
from redress_intake.domain.lookup import LOOKUPS, UNIQUE
from redress_intake.domain.observed import OBSERVES, observe
from redress_intake.domain.own import evolve
from redress_spine.aggregate import Aggregate

AGGREGATE = Aggregate(
    Complaint, observe, evolve, OBSERVES, entries, begun_here=True, projections=PROJECTIONS, lookups=LOOKUPS, unique=UNIQUE
)
SUBSCRIPTION = Aggregate(
    subscription.Subscription, subscription.observe, subscription.evolve, begun_here=True, projections=subscription.PROJECTIONS
)
AGGREGATES = {"complaint": AGGREGATE, "subscription": SUBSCRIPTION}
