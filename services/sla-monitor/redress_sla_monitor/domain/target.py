"""Business time: how long something may take, in units that only a calendar can turn into an instant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator

LONGEST = 10_000  # units: a computing walks day by day


class Unit(StrEnum):
    SECOND = "second"
    MINUTE = "minute"
    NATURAL_HOUR = "natural hour"
    NATURAL_DAY = "natural day"
    WORKING_HOUR = "working hour"
    WORKING_DAY = "working day"


# Units of which every one is as long as the next, whatever the day.
LENGTHS = {
    Unit.SECOND: timedelta(seconds=1),
    Unit.MINUTE: timedelta(minutes=1),
    Unit.NATURAL_HOUR: timedelta(hours=1),
    Unit.WORKING_HOUR: timedelta(hours=1),
}
WRITTEN = re.compile(rf"([0-9]{{1,5}}) ({'|'.join(Unit)})s?")


@dataclass(frozen=True, slots=True)
class Target:
    """A whole number of one unit. Not a duration: 3 working days may be 3 or 12 natural ones."""

    amount: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Target:
        """`3 working days` → Target(3, Unit.WORKING_DAY). Raises ValueError."""
        written = WRITTEN.fullmatch(text)
        if written is None or not 1 <= int(written[1]) <= LONGEST:
            raise ValueError(f"{text!r} is not a target: write 1 to {LONGEST} and a unit ({', '.join(Unit)}), for example '3 working days'")
        return cls(int(written[1]), Unit(written[2]))

    def share(self, part: Decimal) -> Target:
        """That part of it, rounded up to whole units: half of 3 working days are 2."""
        return Target(int((self.amount * part).to_integral_value(ROUND_CEILING)), self.unit)

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"


def _read(value: object) -> object:
    return Target.parse(value) if isinstance(value, str) else value


# A target in a policy file: text there, a Target here.
WrittenTarget = Annotated[Target, BeforeValidator(_read)]
