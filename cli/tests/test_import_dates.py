"""Dates as they are written: one order for a column, decided from all of it, and asked for where the column does not tell."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_cli.importing.dates import ORDERS, DateUnclear, Order, order_named, order_of, read_date

TODAY = date(2026, 11, 29)
CHINA = ZoneInfo("Asia/Shanghai")
FORMS: dict[Order, str] = {"dmy": "%d/%m/%Y", "mdy": "%m/%d/%Y", "ymd": "%y-%m-%d"}


def instant(text: str, order: Order | None = None) -> datetime:
    return read_date(text, TODAY).at(order, CHINA)


def decided(*texts: str) -> tuple[Order | None, int | None]:
    return order_of(enumerate([read_date(text, TODAY) for text in texts], 2))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 09:05",
        "2026-11-20T09:05:00",
        "2026-11-20T09:05:00+08:00",
        "2026-11-20T01:05:00Z",
        "2026-11-20 09:05:00.000",
        "2026/11/20 9:05",
        "2026/11/20  9:05:00",
        "2026.11.20 9:05",
        "2026年11月20日 9:05",
        "2026年11月20日9时05分",
        "2026年11月20日 星期五 上午9:05",
        "２０２６／１１／２０　９：０５",
        "20261120090500",
        "20261120 0905",
        "20-Nov-26 9:05 AM",
        "20 November 2026 09:05",
        "Nov 20, 2026 9:05 am",
        "November 20th, 2026, 9:05",
        "46346.378472222",
    ],
)
def test_forms_that_mean_one_moment(text: str):
    assert instant(text) == datetime(2026, 11, 20, 9, 5, tzinfo=CHINA)


def test_days_and_afternoons():
    for text in ("2026-11-20", "2026年11月20日", "20261120", "46346", "20-Nov-2026", "2026/11/20"):
        assert instant(text) == datetime(2026, 11, 20, tzinfo=CHINA)
    for text in ("2026/11/20 3:53:50 PM", "2026年11月20日 下午3:53:50", "2026年11月20日 15时53分50秒"):
        assert instant(text) == datetime(2026, 11, 20, 15, 53, 50, tzinfo=CHINA)
    assert instant("2026-11-20 12:00 AM").hour == 0 and instant("2026-11-20 12:00 PM").hour == 12
    assert instant("2026-11-20T09:05-0330").utcoffset() == -timedelta(hours=3, minutes=30)
    cell = datetime(2026, 11, 20, 9, 5)  # noqa: DTZ001 (as a spreadsheet has it)
    assert read_date(cell, TODAY).at(None, CHINA) == cell.replace(tzinfo=CHINA)
    assert read_date(cell.replace(tzinfo=UTC), TODAY).at(None, CHINA) == cell.replace(tzinfo=timezone(timedelta(0)))


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2026-02-30", "2026-13-01", "20261320", "2026-11-20 25:00", "12", "1999-12-31", "2199-01-01", "2026-12-01"),
        *(
            "36000",
            "31/02/2026",
            "32-13-26",
            "Foo 20, 2026",
            "20-Foo-26",
            "2026-11-20 at nine",
            "99999",
            "2026-1-123:05",
            "2026-11-20 晚上12:00",
        ),
    ],
)
def test_what_is_no_date_or_cannot_be_one(text: str):
    with pytest.raises(DateUnclear, match=r"is not a da(te|y)"):
        read_date(text, TODAY)


def test_tomorrow_may_have_begun_where_they_are():
    assert instant("2026-11-30").day == 30


def test_the_whole_column_decides():
    assert decided("02/03/2026", "04/05/2026", "13/05/2026") == ("dmy", 4)
    assert decided("02/03/2026", "05/13/2026") == ("mdy", 3)
    assert decided("22-04-15", "04-08-15", "31-05-15") == ("dmy", 4)
    assert decided("2026-11-20", "20 Nov 2026") == (None, None), "these need no order"
    assert decided("02/02/2026", "2026-11-20") == ("dmy", 2), "whichever is the day, it is the same"
    assert decided("11/28/2026")[0] == "mdy"


def test_a_date_that_may_be_two_is_asked_for():
    with pytest.raises(DateUnclear, match=r"'02/03/2026' in line 2 may be 2026-03-02 \(DMY\) or 2026-02-03 \(MDY\).*--date-format DMY"):
        decided("02/03/2026", "2026-11-20")
    with pytest.raises(DateUnclear, match=r"2026-02-13 \(YMD\) or 2013-02-26 \(DMY\)"):
        decided("26-02-13")


def test_one_column_has_one_order():
    with pytest.raises(DateUnclear, match=r"'05/13/2026' in line 4 cannot be day, month, year, as line 2 is"):
        decided("13/05/2026", "02/03/2026", "05/13/2026")


def test_an_order_that_is_told_holds_and_what_it_makes_implausible_is_refused():
    assert instant("26-02-13", "ymd") == datetime(2026, 2, 13, tzinfo=CHINA)
    assert instant("02/03/2026", "mdy") == datetime(2026, 2, 3, tzinfo=CHINA)
    with pytest.raises(DateUnclear, match="in the order year, month, day"):
        instant("31-05-15", "ymd")


def test_orders_are_named_as_people_do():
    assert [order_named(name) for name in ("DMY", "dd/mm/yyyy", "%d/%m/%Y", "d.m.y")] == ["dmy"] * 4
    assert [order_named(name) for name in ("MDY", "YYYY-MM-DD")] == ["mdy", "ymd"]
    with pytest.raises(DateUnclear, match="use DMY, MDY or YMD"):
        order_named("YDM")


@given(st.sampled_from(ORDERS), st.lists(st.dates(date(2000, 1, 1), TODAY), min_size=1))
def test_no_day_is_ever_another(order: Order, days: list[date]):
    """Written in one order, a column is read as it was meant, or the operator is asked; with the order told it is always read right."""
    written = [day.strftime(FORMS[order]) for day in days]
    read = [read_date(text, TODAY) for text in written]
    assert [each.at(order, CHINA).date() for each in read] == days
    try:
        found, _ = order_of(enumerate(read, 2))
    except DateUnclear:
        return  # the operator is asked
    assert [each.at(found, CHINA).date() for each in read] == days
