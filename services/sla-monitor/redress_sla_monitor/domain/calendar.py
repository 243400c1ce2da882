"""Which days and hours are worked, and why: holidays and make-up working days as published year by year."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a calendar. published: false where only the weekend is known, for its year has no notice yet."""

    worked: bool
    reason: str
    published: bool = True


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Holiday(_Data):
    """Days off in a row, both ends included; the weekend days among them too."""

    name: str
    first: date
    last: date


class Hours(_Data):
    """A part of a working day: a lunch break lies between two."""

    opens: time
    closes: time


class Year(_Data):
    """What was published for one year. make_up: weekend days that are worked, with the holiday they make up for."""

    source: str
    holidays: tuple[Holiday, ...]
    make_up: dict[date, str]


class Calendar(_Data):
    """Working time of one place. `name` is what facts carry; what a name stands for never changes."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    version: int = Field(ge=1)
    zone: ZoneInfo
    weekend: frozenset[Weekday] = Field(max_length=6)
    hours: tuple[Hours, ...] = Field(min_length=1)
    years: dict[int, Year]

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for number, year in self.years.items():
            ends = [end for holiday in year.holidays for end in (holiday.first, holiday.last)]
            if ends != sorted(ends) or any(day.year != number for day in (*ends, *year.make_up)):
                raise ValueError(f"{self.name}: the holidays of {number} are not in order, or lie outside it")
            if off := [day for day in year.make_up if not self._is_weekend(day) or _holiday(year, day)]:
                raise ValueError(f"{self.name}: {off[0]} cannot make up for anything: it is worked anyway, or a holiday")
        times = [moment for hours in self.hours for moment in (hours.opens, hours.closes)]
        if any(earlier >= later for earlier, later in pairwise(times)):
            raise ValueError(f"{self.name}: the hours of a working day overlap or are not in order")
        return self

    def day(self, day: date) -> Day:
        """Is it worked, and why."""
        year = self.years.get(day.year)
        if year is not None and day in year.make_up:
            return Day(True, f"make-up working day ({year.make_up[day]})")
        if year is not None and (holiday := _holiday(year, day)):
            return Day(False, f"public holiday ({holiday.name})")
        if self._is_weekend(day):
            return Day(False, "weekend", published=year is not None)
        if year is None:
            return Day(True, f"weekday, calendar of {day.year} not published", published=False)
        return Day(True, "working day")

    def local_day(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()

    def instant(self, day: date, at: time = time()) -> datetime:
        """That time of that day here, in UTC; without a time its first moment, which is the day before's 24:00."""
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def following(self, day: date) -> datetime:
        """The end of that day: 24:00, the next midnight."""
        return self.instant(day + timedelta(days=1))

    def _is_weekend(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekend


def _holiday(year: Year, day: date) -> Holiday | None:
    return next((holiday for holiday in year.holidays if holiday.first <= day <= holiday.last), None)
