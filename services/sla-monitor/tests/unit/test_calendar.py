"""China's working days, against two libraries that keep them too, and what a calendar file must not say."""

from datetime import date, timedelta

import chinese_calendar
import holidays
import pytest
from pydantic import ValidationError

from redress_sla_monitor.domain.calendar import Calendar, CalendarDay
from redress_sla_monitor.policies import calendars

CHINA = calendars()["china@1"]


def days_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


@pytest.mark.parametrize("year", sorted(CHINA.years))
def test_every_day_agrees_with_chinesecalendar(year: int):
    if year > max(chinese_calendar.constants.holidays).year:
        pytest.fail(f"chinesecalendar ends before {year}: {CHINA.name} cannot be checked against it. Upgrade chinesecalendar.")
    assert [day for day in days_of(year) if CHINA.day(day).worked != chinese_calendar.is_workday(day)] == []


@pytest.mark.parametrize("year", sorted(CHINA.years))
def test_every_day_agrees_with_holidays(year: int):
    china = holidays.country_holidays("CN", years=year)
    if not any(day.year == year for day in china.weekend_workdays):
        pytest.fail(f"holidays has no make-up days for {year}: {CHINA.name} cannot be checked against it. Upgrade holidays.")
    assert [day for day in days_of(year) if CHINA.day(day).worked != china.is_working_day(day)] == []


@pytest.mark.parametrize(("year", "worked"), [(2025, 248), (2026, 248)])
def test_a_year_has_so_many_working_days(year: int, worked: int):
    assert sum(CHINA.day(day).worked for day in days_of(year)) == worked


@pytest.mark.parametrize(
    ("day", "is_what"),
    [
        (date(2026, 3, 2), CalendarDay(True, "working day")),
        (date(2026, 3, 1), CalendarDay(False, "weekend")),
        (date(2026, 2, 14), CalendarDay(True, "make-up working day (Spring Festival)")),
        (date(2026, 2, 15), CalendarDay(False, "public holiday (Spring Festival)")),
        (date(2027, 1, 1), CalendarDay(True, "weekday, calendar of 2027 not published", published=False)),
        (date(2027, 1, 2), CalendarDay(False, "weekend", published=False)),
    ],
)
def test_a_day_says_why(day: date, is_what: CalendarDay):
    assert CHINA.day(day) == is_what


def test_a_year_names_its_source():
    assert all("State Council" in year.source for year in CHINA.years.values())


HOURS = [{"opens": "09:00", "closes": "12:00"}, {"opens": "13:00", "closes": "18:00"}]


def year(make_up: dict[str, str] | None = None, *holidays_of_it: tuple[str, str]) -> dict[int, object]:
    of_it = [{"name": "Festival", "first": first, "last": last} for first, last in holidays_of_it]
    return {2026: {"source": "a notice", "holidays": of_it, "make_up": make_up or {}}}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"years": year(None, ("2026-02-20", "2026-02-15"))}, "not in order"),
        ({"years": year(None, ("2026-05-01", "2026-05-05"), ("2026-02-15", "2026-02-20"))}, "not in order"),
        ({"years": year(None, ("2027-02-15", "2027-02-20"))}, "outside"),
        ({"years": year({"2025-02-14": "Festival"})}, "outside"),
        ({"years": year({"2026-02-13": "Festival"})}, "cannot be a make-up working day"),  # a Friday
        ({"years": year({"2026-02-15": "Festival"}, ("2026-02-15", "2026-02-20"))}, "cannot be a make-up working day"),
        ({"hours": [HOURS[1], HOURS[0]]}, "hours"),
        ({"hours": []}, "hours"),
        ({"hours": [{"opens": 540, "closes": 1080}]}, "in quotes"),  # 9:00 and 18:00 without quotes, as YAML reads them
        ({"hours": [{"opens": "09:00", "closes": "24:01"}]}, '"00:00" to "24:00"'),
        ({"hours": [{"opens": "24:00", "closes": "24:00"}]}, "hours"),
        ({"hours": [{"opens": "22:00", "closes": "06:00"}]}, "hours"),
        ({"zone": "Asia/Peking Duck"}, "zone"),
        ({"weekend": ["caturday"]}, "weekend"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(wrong: dict[str, object], message: str):
    sound = {"id": "test", "version": 1, "zone": "Asia/Shanghai", "weekend": ["saturday", "sunday"], "hours": HOURS, "years": year()}
    assert Calendar.model_validate(sound).name == "test@1"
    with pytest.raises(ValidationError, match=message):
        Calendar.model_validate(sound | wrong)
