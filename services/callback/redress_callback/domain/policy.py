"""How the return visit is done: numbers that a policy file gives and an installation may change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """All times are natural ones.

    first_attempt: after the resolution. attempts: before the customer counts as unreachable,
    counted from what they last said. spacing: between two of them.
    give_up: after the last one. lowest_score: of satisfaction, 1 to 5, with which a solved complaint is closed.
    """

    first_attempt: timedelta
    attempts: int
    spacing: timedelta
    give_up: timedelta
    lowest_score: int
