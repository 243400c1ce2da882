"""A complaint as template sees it: what was heard and what was done."""

from __future__ import annotations

from dataclasses import dataclass

from redress_spine.aggregate import Kind
from redress_template.domain.done import Done, did
from redress_template.domain.heard import HEARS, Heard, hear
from redress_template.domain.lists import PROJECTIONS


@dataclass(frozen=True, slots=True)
class Complaint:
    heard: Heard = Heard()
    done: Done = Done()


KIND = Kind(Complaint, hear, did, HEARS, projections=PROJECTIONS)
