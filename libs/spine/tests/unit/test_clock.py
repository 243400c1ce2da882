"""A stepping clock stands still, is the same for all who map it, and never goes back."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from redress_spine.processing.clock import ClockSetBack, ClockUnusable, CrossCheck, SteppingClock, wall_clock, wall_seconds_until

AT = datetime(2026, 2, 13, 1, 0, 0, 123456, tzinfo=UTC)
MOVE = """
import sys
from datetime import datetime
from pathlib import Path
from redress_spine.processing.clock import SteppingClock
SteppingClock(Path(sys.argv[1])).move(datetime.fromisoformat(sys.argv[2]))
"""


def test_it_stands_where_it_was_put_to_the_microsecond(tmp_path: Path) -> None:
    clock = SteppingClock.make(tmp_path / "clock", AT)
    assert (clock(), clock(), clock().tzinfo) == (AT, AT, UTC)
    assert SteppingClock.make(tmp_path / "old", datetime(1969, 7, 20, tzinfo=UTC))() == datetime(1969, 7, 20, tzinfo=UTC)


def test_another_process_moves_it_for_all(tmp_path: Path) -> None:
    clock, to = SteppingClock.make(tmp_path / "clock", AT), AT + timedelta(days=30)
    subprocess.run([sys.executable, "-c", MOVE, str(clock.file), to.isoformat()], check=True)
    assert clock() == to


def test_it_never_goes_back(tmp_path: Path) -> None:
    clock = SteppingClock.make(tmp_path / "clock", AT)
    clock.move(AT)
    with pytest.raises(ClockSetBack):
        clock.move(AT - timedelta(microseconds=1))
    with pytest.raises(ClockSetBack):
        SteppingClock.make(clock.file, AT - timedelta(days=1))
    assert clock() == AT
    assert SteppingClock.make(clock.file, AT + timedelta(days=1))() == clock() == AT + timedelta(days=1)


def test_what_is_no_clock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"1234")
    for name in ("absent", "short"):
        with pytest.raises(ClockUnusable, match=name):
            SteppingClock(tmp_path / name)


def test_nobody_sleeps_by_the_wall_clock_for_an_instant_of_a_stepping_one(tmp_path: Path) -> None:
    assert 59 < wall_seconds_until(wall_clock() + timedelta(minutes=1), wall_clock) <= 60
    assert wall_seconds_until(AT + timedelta(milliseconds=1), SteppingClock.make(tmp_path / "clock", AT)) == float("inf")


@pytest.mark.parametrize(
    ("theirs", "skew", "agrees"),
    [(0, 0, True), (60, -60, True), (61, -61, False), (-60, 60, True), (-61, 61, False)],
)
def test_clocks_agree_within_the_tolerance(theirs: int, skew: float, agrees: bool) -> None:
    check = CrossCheck("intake", lambda: AT, 60.0)
    assert check.compare(AT, AT + timedelta(seconds=theirs)) is agrees
    assert (check.skew, check.agrees) == (skew, agrees)


def test_what_the_answer_took_is_no_difference() -> None:
    """The database may have looked at its clock at any moment between our question and its answer."""
    check = CrossCheck("intake", lambda: AT + timedelta(hours=1), 60.0)
    for theirs in (timedelta(), timedelta(minutes=30), timedelta(hours=1)):
        assert check.compare(AT, AT + theirs) and check.skew == 0


def test_a_stepping_clock_may_differ(tmp_path: Path) -> None:
    clock = SteppingClock.make(tmp_path / "clock", AT)
    check = CrossCheck("intake", clock, 60.0)
    assert check.compare(AT, wall_clock()) and check.since(AT)() == clock()
