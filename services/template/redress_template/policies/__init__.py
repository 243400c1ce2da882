"""What template decides by and its operator may change: nothing yet."""

from __future__ import annotations

from collections.abc import Mapping


def in_force(environment: Mapping[str, str] = {}) -> None:
    """Read files beside this one with `redress_chassis.read_policy`, when the service starts. Raises PolicyUnusable."""
