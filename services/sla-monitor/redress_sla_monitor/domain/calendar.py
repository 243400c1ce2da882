"""Which days and hours are worked, and why: holidays and make-up working days as published year by year."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ONE_DAY = timedelta(days=1)
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day of a calendar. published: false where only the weekend is known, for its year has no notice yet."""

    worked: bool
    reason: str
    published: bool = True


class FileModel(BaseModel):
    """A part of a calendar or of a policy, as its file has it: nothing in it is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Holiday(FileModel):
    """Days off in a row, both ends included; the weekend days among them too."""

    name: str
    first: date
    last: date


def _since_midnight(written: object) -> object:
    # Without quotes YAML reads 13:00 as the number 780.
    if not isinstance(written, str) or not TIME_OF_DAY.fullmatch(written):
        raise ValueError('a time of day is written in quotes, from "00:00" to "24:00"')
    hour, minute = written.split(":")
    return timedelta(hours=int(hour), minutes=int(minute))


# What the clock on the wall shows, since 00:00. In a file: "00:00" to "24:00".
TimeOfDay = Annotated[timedelta, BeforeValidator(_since_midnight)]


class Hours(FileModel):
    """A part of a working day: a lunch break lies between two. Hours over midnight are two parts, one until 24:00 and one from 00:00."""

    opens: TimeOfDay
    closes: TimeOfDay


class Year(FileModel):
    """What was published for one year. make_up: weekend days that are worked, with the holiday they make up for."""

    source: str
    holidays: tuple[Holiday, ...]
    make_up: dict[date, str]


class Calendar(FileModel):
    """Working time of one place. `name` is what events carry; what a name stands for never changes."""

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
                raise ValueError(f"{self.name}: the holidays of {number} are not in order, or are outside it")
            if off := [day for day in year.make_up if not self._is_weekend(day) or _holiday(year, day)]:
                raise ValueError(f"{self.name}: {off[0]} cannot be a make-up working day: it is a working day anyway, or a holiday")
        times = [moment for hours in self.hours for moment in (hours.opens, hours.closes)]
        if any(earlier >= later for earlier, later in pairwise(times)):
            raise ValueError(f"{self.name}: the hours of a working day overlap or are not in order")
        return self

    def day(self, day: date) -> CalendarDay:
        """Is it worked, and why."""
        year = self.years.get(day.year)
        if year is not None and day in year.make_up:
            return CalendarDay(True, f"make-up working day ({year.make_up[day]})")
        if year is not None and (holiday := _holiday(year, day)):
            return CalendarDay(False, f"public holiday ({holiday.name})")
        if self._is_weekend(day):
            return CalendarDay(False, "weekend", published=year is not None)
        if year is None:
            return CalendarDay(True, f"weekday, calendar of {day.year} not published", published=False)
        return CalendarDay(True, "working day")

    def shown(self, instant: datetime) -> datetime:
        """What the clock on the wall shows at that instant, without a zone."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def local_day(self, instant: datetime) -> date:
        """The day that this instant belongs to. Each day ends once: where the clock goes back over midnight, with the second midnight."""
        day = self.shown(instant).date()
        return day if instant >= self.following(day - ONE_DAY) else day - ONE_DAY

    def following(self, day: date) -> datetime:
        """The end of that day in UTC: the last 24:00 where the clock goes back over it, and the end of the gap where 24:00 is skipped."""
        midnight = datetime.combine(day + ONE_DAY, time(), self.zone)
        first, second = (midnight.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        if first == second:
            return first
        change = self._change(min(first, second), max(first, second))
        if second < first:
            return change
        return second if self.shown(change).date() <= day else first

    def until(self, instant: datetime, passed: timedelta) -> datetime:
        """When the clock on the wall has moved on by `passed`, or is changed, whichever is earlier."""
        later = instant + passed
        return later if self._offset(instant) == self._offset(later) else self._change(instant, later)

    def _change(self, earlier: datetime, later: datetime) -> datetime:
        """When the clock is changed in this time, within which that happens once."""
        before, second = self._offset(earlier), timedelta(seconds=1)
        whole = earlier.replace(microsecond=0)
        seconds = range(1, (later - whole) // second + 1)
        return whole + second * seconds[bisect_left(seconds, True, key=lambda after: self._offset(whole + second * after) != before)]

    def _offset(self, instant: datetime) -> timedelta | None:
        return instant.astimezone(self.zone).utcoffset()

    def _is_weekend(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekend


def _holiday(year: Year, day: date) -> Holiday | None:
    return next((holiday for holiday in year.holidays if holiday.first <= day <= holiday.last), None)
