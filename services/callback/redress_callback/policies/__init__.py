"""The numbers that callback's rules take from data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from redress_callback.domain.policy import VisitPolicy
from redress_chassis import read_policy

RETURN_VISIT = Path(__file__).parent / "return-visit.yaml"


def in_force(environment: Mapping[str, str] = {}, *, return_visit: Path = RETURN_VISIT) -> VisitPolicy:
    """How return visits are done. Raises PolicyUnusable."""
    return read_policy(return_visit, VisitPolicy)
