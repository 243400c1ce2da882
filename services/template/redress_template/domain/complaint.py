"""A complaint as template sees it: what was observed and what was done."""

from __future__ import annotations

from dataclasses import dataclass

from redress_spine.aggregate import Aggregate
from redress_template.domain.lists import PROJECTIONS
from redress_template.domain.observed import OBSERVES, Observed, observe
from redress_template.domain.own import Own, evolve


@dataclass(frozen=True, slots=True)
class Complaint:
    observed: Observed = Observed()
    own: Own = Own()


AGGREGATE = Aggregate(Complaint, observe, evolve, OBSERVES, projections=PROJECTIONS)
