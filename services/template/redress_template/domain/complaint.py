"""A complaint as template sees it: what was observed and what was done."""

from __future__ import annotations

from dataclasses import dataclass

from redress_template.domain.observed import Observed
from redress_template.domain.own import Own


@dataclass(frozen=True, slots=True)
class Complaint:
    observed: Observed = Observed()
    own: Own = Own()
