"""Dates as people and spreadsheets write them. Which of three numbers is the day is decided once for a whole column, and never guessed.

`26-02-13` and `02/03/2026` each mean several days. All of a column's dates are read in each order, and an order stays only if every one of
them can be a day when somebody complained: since the year 2000, and not after tomorrow. If more than one stays, the operator says which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Literal, get_args

Order = Literal["ymd", "dmy", "mdy"]
ORDERS: tuple[Order, ...] = get_args(Order)
WORDS: Mapping[Order, str] = {"ymd": "year, month, day", "dmy": "day, month, year", "mdy": "month, day, year"}
EARLIEST = date(2000, 1, 1)  # what intake takes too
CENTURY = 2000  # of a year with two digits
SERIALS_BEGIN = datetime(1899, 12, 30)  # noqa: DTZ001 (a spreadsheet's day 0, which has no zone)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
AFTERNOON, MORNING = ("下午", "晚上", "中午", "pm"), ("上午", "凌晨", "早上", "am")

TIME = r"""
    (?: (?: [T\s,]+ | (?<=[日号一二三四五六天)]) ) (?P<half>上午|下午|凌晨|早上|中午|晚上)? \s*
        (?P<hour>\d{1,2}) [:时点] (?: (?P<minute>\d{1,2}) (?: [:分] (?: (?P<second>\d{1,2}) (?:\.\d{1,9})? )? )? )? 秒? \s*
        (?P<suffix>[ap]\.?m\.?)? \s* (?P<offset>Z|[+-]\d{2}:?\d{2})?
    )?
"""
DAY = r"(?:\s*\(?(?:星期|周)[一二三四五六日天]\)?)?"


def _shape(day: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{day}){DAY}{TIME}", re.VERBOSE | re.IGNORECASE)


YEAR_FIRST = _shape(r"(?P<year>\d{4}) \s*[-/.年]\s* (?P<month>\d{1,2}) \s*[-/.月]\s* (?P<day>\d{1,2}) \s*[日号]?")
COMPACT = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2}) (?: \s? (?P<hour>\d{2}):?(?P<minute>\d{2}) (?: :?(?P<second>\d{2}) )? )?", re.VERBOSE
)
NAMED = (
    _shape(r"(?P<day>\d{1,2}) (?:st|nd|rd|th)? [-\s/.]* (?P<name>[a-z]{3,9}) [-\s/.,]* (?P<year>\d{4}|\d{2})"),
    _shape(r"(?P<name>[a-z]{3,9}) \.?\s* (?P<day>\d{1,2}) (?:st|nd|rd|th)? ,?\s* (?P<year>\d{4}|\d{2})"),
)
TRIPLE = _shape(r"(?P<first>\d{1,2}) [-/.] (?P<middle>\d{1,2}) [-/.] (?P<last>\d{4}|\d{2})")
SERIAL = re.compile(r"\d{5}(?:\.\d+)?")  # days since 1899-12-30, as a spreadsheet shows a date whose format was lost
SECONDS_A_DAY = 86_400


class DateUnclear(Exception):
    """A value or a whole column that is no date that one could be sure of. line: the one that makes a column unclear."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class WrittenDate:
    """A value, with what it means in each order that makes it a possible day. zone: where it says one itself."""

    text: str
    days: Mapping[Order, date]
    clock: time
    zone: tzinfo | None
    shuffled: bool

    def at(self, order: Order | None, zone: tzinfo) -> datetime:
        """Raises DateUnclear where it is no day in this order."""
        day = self.days.get(order or "ymd")
        if day is None:
            raise DateUnclear(f"{self.text!r} is not a day from {EARLIEST} until today in the order {WORDS[order or 'ymd']}.")
        return datetime.combine(day, self.clock, self.zone or zone)


def order_named(name: str) -> Order:
    """From `DMY`, `dd/mm/yyyy` or `%d/%m/%Y`. Raises DateUnclear."""
    letters = "".join(dict.fromkeys(letter for letter in name.lower() if letter.isalpha()))
    found = next((order for order in ORDERS if order == letters), None)
    if found is None:
        raise DateUnclear(f"{name!r} is not an order of day, month and year: use DMY, MDY or YMD.")
    return found


def read_date(value: str | datetime, today: date) -> WrittenDate:
    """What a cell says. Raises DateUnclear where that is no date, or one that cannot be."""
    if isinstance(value, datetime):
        return _certain(str(value), value.date(), value.time(), value.tzinfo, today)
    text = unicodedata.normalize("NFKC", value).strip()
    shown = text[:40]
    if SERIAL.fullmatch(text):
        found = SERIALS_BEGIN + timedelta(seconds=round(float(text) * SECONDS_A_DAY))
        return _certain(shown, found.date(), found.time(), None, today)
    triple = TRIPLE.fullmatch(text)
    certain = next((match for shape in (YEAR_FIRST, COMPACT, *NAMED) if (match := shape.fullmatch(text))), None)
    try:
        if triple is not None:
            days = _orders(triple, today)
            if not days:
                raise DateUnclear(f"{shown!r} is not a day from {EARLIEST} until today, whichever number is the day.")
            return WrittenDate(shown, days, _clock(triple), _zone(triple), True)
        if certain is not None:
            parts = certain.groupdict()
            month = MONTHS.index(parts["name"][:3].lower()) + 1 if parts.get("name") else int(parts["month"])
            return _certain(shown, date(_year(parts["year"]), month, int(parts["day"])), _clock(certain), _zone(certain), today)
    except ValueError:
        pass
    raise DateUnclear(f"{shown!r} is not a date. Write 2026-11-20 or 2026-11-20 09:05.")


def order_of(dates: Iterable[tuple[int, WrittenDate]]) -> tuple[Order | None, int | None]:
    """The one order in which all of a column's dates can be, None where none needs one, and the line that decided. Raises DateUnclear."""
    left, decided = list(ORDERS), None
    shuffled = [(line, each) for line, each in dates if each.shuffled]
    for line, each in shuffled:
        fitting = [order for order in left if order in each.days]
        if not fitting:
            raise DateUnclear(
                f"Dates of one column are written in different orders: {each.text!r} in line {line} cannot be {WORDS[left[0]]}, "
                f"as line {decided or shuffled[0][0]} is. Write all in one way, or say the order: --date-format DMY, MDY or YMD.",
                line,
            )
        if len(fitting) < len(left):
            left, decided = fitting, line
    if not shuffled:
        return None, None
    unsure = next(((line, each) for line, each in shuffled if len({each.days[order] for order in left}) > 1), None)
    if unsure:
        line, each = unsure
        meant = " or ".join(f"{each.days[order]} ({order.upper()})" for order in left)
        asked = f"Say which: --date-format {left[0].upper()}"
        raise DateUnclear(f"{each.text!r} in line {line} may be {meant}, and no other row tells. {asked}", line)
    return left[0], decided


def _certain(text: str, day: date, clock: time, zone: tzinfo | None, today: date) -> WrittenDate:
    if not _possible(day, today):
        raise DateUnclear(f"{text!r} is not a day from {EARLIEST} until today.")
    return WrittenDate(text, dict.fromkeys(ORDERS, day), clock, zone, False)


def _orders(found: re.Match[str], today: date) -> dict[Order, date]:
    first, middle, last = found["first"], found["middle"], found["last"]
    meanings: dict[Order, tuple[str, str, str]] = {"dmy": (last, middle, first), "mdy": (last, first, middle)}
    if len(first) == len(last) == 2:
        meanings["ymd"] = (first, middle, last)
    days: dict[Order, date] = {}
    for order, (year, month, day) in meanings.items():
        try:
            meant = date(_year(year), int(month), int(day))
        except ValueError:
            continue
        if _possible(meant, today):
            days[order] = meant
    return days


def _possible(day: date, today: date) -> bool:
    return EARLIEST <= day <= today + timedelta(days=1)  # it may be tomorrow already where they are


def _year(digits: str) -> int:
    return int(digits) if len(digits) == 4 else CENTURY + int(digits)


def _clock(found: re.Match[str]) -> time:
    """Raises ValueError."""
    parts = found.groupdict()
    if parts["hour"] is None:
        return time()
    hour, half = int(parts["hour"]), (parts.get("half") or parts.get("suffix") or "").lower().replace(".", "")
    if half == "晚上" and hour == 12:
        raise ValueError  # midnight of which day?
    if half in AFTERNOON and hour < 12 and not (half == "中午" and hour == 11):
        hour += 12
    elif half in MORNING and hour == 12:
        hour = 0
    return time(hour, int(parts["minute"] or 0), int(parts["second"] or 0))


def _zone(found: re.Match[str]) -> tzinfo | None:
    offset = found.groupdict().get("offset")
    if offset is None:
        return None
    if offset.upper() == "Z":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
