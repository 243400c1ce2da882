"""Times and durations as people type them, and one way to go at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer
from typer.testing import CliRunner

from redress_cli.clock import duration
from redress_cli.console import moment
from redress_cli.main import app


def test_a_duration_is_counts_with_units():
    assert duration("3d") == timedelta(days=3)
    assert duration("1d12h30m5s") == timedelta(days=1, hours=12, minutes=30, seconds=5)


@pytest.mark.parametrize("text", ["", "3", "d", "3 days", "-1d", "1.5h"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(typer.BadParameter, match="1d12h"):
        duration(text)


def test_a_time_without_an_offset_is_local():
    assert moment("2026-02-13T09:00+08:00") == datetime(2026, 2, 13, 1, tzinfo=UTC)
    assert moment("2026-02-13T09:00") == datetime(2026, 2, 13, 9).astimezone()
    assert moment("2026-02-13") == datetime(2026, 2, 13).astimezone()
    with pytest.raises(typer.BadParameter, match="2026-02-13T09:00"):
        moment("tomorrow")


def test_two_ways_to_go_are_one_too_many(tmp_path):
    result = CliRunner().invoke(app, ["clock", "--next", "--to-end", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "Choose one of" in result.stderr


def test_without_a_stack_it_says_how_to_start_one(tmp_path):
    result = CliRunner().invoke(app, ["clock", "--folder", str(tmp_path)])
    assert result.exit_code == 1
    assert "redress up" in result.stderr
