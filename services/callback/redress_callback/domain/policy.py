"""How the return visit is done: numbers that a policy file gives and an installation may change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field

Time = Annotated[timedelta, Field(ge=timedelta(0))]


@dataclass(frozen=True, slots=True)
class VisitPolicy:
    """All times are natural ones.

    first_attempt: after the resolution. attempts: before the customer counts as unreachable,
    counted from what they last said. spacing: between two of them.
    give_up: after the last one. lowest_score: of satisfaction, 1 to 5, with which a solved complaint is closed.
    """

    first_attempt: Time
    attempts: Annotated[int, Field(ge=1)]
    spacing: Time
    give_up: Time
    lowest_score: Annotated[int, Field(ge=1, le=5)]
