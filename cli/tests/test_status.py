"""What `status` reads off a Prometheus page."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from redress_cli import status
from redress_cli.main import app
from redress_cli.status import read_metrics, read_one

PAGE = """\
# TYPE redress_backlog_events gauge
redress_backlog_events 3
# TYPE redress_lag_records gauge
redress_lag_records{partition="0"} 2
redress_lag_records{partition="1"} 5
# TYPE redress_lag_seconds gauge
redress_lag_seconds{partition="0"} 0.5
redress_lag_seconds{partition="1"} 2.5
"""


def test_records_are_summed_seconds_are_the_worst_and_what_is_not_told_is_missing():
    assert read_metrics(PAGE) == {"backlog": 3, "lag_records": 7, "lag_seconds": 2.5}


LOST = """\
# TYPE redress_lost_records gauge
redress_lost_records 3
# TYPE redress_refused_partitions gauge
redress_refused_partitions 1
"""
ALARM = "Partition 0 of complaints.lifecycle.v1 ends 3 records before what was read: the log lost its end."


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/metrics":
        return httpx.Response(200, text=LOST)
    return httpx.Response(200, json={"status": "ready", "alarms": [ALARM]})


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is ready and has an alarm."""
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        found = read_one(client, "handling", "http://127.0.0.1:1", 7)
    assert (found.ready, found.lost, found.refused, found.alarms) == (True, 3, 1, [ALARM])
    monkeypatch.setattr(status, "installation", lambda folder, context: folder)
    monkeypatch.setattr(status, "read_all", lambda where: [found])


@pytest.mark.usefixtures("replica")
def test_an_alarm_is_shown_in_words_and_ends_status_with_1(tmp_path: Path):
    shown = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert shown.exit_code == 1
    assert f"handling: {ALARM}" in shown.output
    as_json = CliRunner().invoke(app, ["status", "--folder", str(tmp_path), "--json"])
    assert as_json.exit_code == 1
    assert [each["alarms"] for each in json.loads(as_json.stdout)] == [[ALARM]]


CURE = "complaints.lifecycle.v1 has 6 partitions, and REDRESS_PARTITIONS makes it 12. " + "Whoever counts otherwise reaches nobody. " * 5
CURE += "set REDRESS_PARTITIONS to what the journals were numbered for."


def test_why_a_service_is_not_ready_is_shown_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def unready(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={"status": "not-ready", "reasons": [CURE], "alarms": [CURE]})

    with httpx.Client(transport=httpx.MockTransport(unready)) as client:
        found = read_one(client, "handling", "http://127.0.0.1:1", 7)
    assert (found.answered, found.ready, found.detail, found.reasons) == (True, False, "503", [CURE])
    monkeypatch.setattr(status, "installation", lambda folder, context: folder)
    monkeypatch.setattr(status, "read_all", lambda where: [found])
    shown = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert shown.exit_code == 1
    assert shown.output.count(f"handling: {CURE}") == 1
