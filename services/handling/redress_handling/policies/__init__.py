"""The names that handling's rules take from data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from redress_chassis import read_policy

DEPARTMENTS = Path(__file__).parent / "departments.yaml"


def in_force(environment: Mapping[str, str] = {}, *, departments: Path = DEPARTMENTS) -> frozenset[str]:
    """Where a case can be transferred to. Raises PolicyUnusable."""
    return read_policy(departments, frozenset[str])
