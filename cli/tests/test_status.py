"""What `status` reads off a Prometheus page."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from redress_cli import status
from redress_cli.main import app
from redress_cli.servers import KAFKA, POSTGRESQL, ServerStatus, with_what_services_say
from redress_cli.status import ServiceStatus, read_metrics, read_one

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


def asked(answer: Callable[[httpx.Request], httpx.Response]) -> ServiceStatus:
    async def read() -> ServiceStatus:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await read_one(client, "handling", "http://127.0.0.1:1", 7, within=60)

    return asyncio.run(read())


def looks(monkeypatch: pytest.MonkeyPatch, services: list[ServiceStatus], servers: Sequence[ServerStatus] = ()) -> None:
    """What `status` is to find."""
    where = SimpleNamespace(chosen=lambda names: [], answering=list)

    async def look(*_: object) -> tuple[list[ServerStatus], list[ServiceStatus]]:
        said = {each.service: each.servers for each in services}
        return [with_what_services_say(each, said) for each in servers], services

    monkeypatch.setattr(status, "installation", lambda folder, context: where)
    monkeypatch.setattr(status, "_look", look)


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is ready and has an alarm."""
    found = asked(answer)
    assert (found.ready, found.lost, found.refused, found.alarms) == (True, 3, 1, [ALARM])
    looks(monkeypatch, [found])


@pytest.mark.usefixtures("replica")
def test_an_alarm_is_shown_in_words_and_ends_status_with_1(tmp_path: Path):
    shown = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert shown.exit_code == 1
    assert f"handling: {ALARM}" in shown.output
    as_json = CliRunner().invoke(app, ["status", "--folder", str(tmp_path), "--json"])
    assert as_json.exit_code == 1
    assert [each["alarms"] for each in json.loads(as_json.stdout)["services"]] == [[ALARM]]


CURE = "complaints.lifecycle.v1 has 6 partitions, and REDRESS_PARTITIONS makes it 12. " + "Whoever counts otherwise reaches nobody. " * 5
CURE += "set REDRESS_PARTITIONS to what the journals were numbered for."


def test_why_a_service_is_not_ready_is_shown_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def unready(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, json={"status": "not-ready", "reasons": [CURE], "alarms": [CURE]})

    found = asked(unready)
    assert (found.answered, found.ready, found.detail, found.reasons) == (True, False, "503", [CURE])
    looks(monkeypatch, [found])
    shown = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert shown.exit_code == 1
    assert shown.output.count(f"handling: {CURE}") == 1


AWAY = "Kafka does not answer: commands are carried out and their events wait."


def says(kafka: bool, name: str = "handling") -> ServiceStatus:
    seen: dict[str, dict[str, object]] = {
        KAFKA: {"up": kafka, "seconds": 0.004 if kafka else None},
        POSTGRESQL: {"up": True, "seconds": 0.002},
    }
    return ServiceStatus(name, "http://127.0.0.1:1", 7, True, True, "", cannot=[] if kafka else [AWAY], servers=seen)


def rows(*, up: bool | None) -> list[ServerStatus]:
    both = ["handling", "triage"]
    return [ServerStatus(KAFKA, "one:9092", up, services=both), ServerStatus(POSTGRESQL, "two:5432", True, 0.001, services=both)]


def test_a_kafka_that_is_away_has_a_row_and_services_say_once_what_they_cannot_do(monkeypatch: pytest.MonkeyPatch):
    looks(monkeypatch, [says(False), says(False, "triage")], rows(up=False))
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 1
    kafka, postgresql = (next(line for line in shown.output.splitlines() if server in line) for server in ("one:9092", "two:5432"))
    assert "no" in kafka and "handling, triage" in kafka
    assert "yes" in postgresql and "1 ms" in postgresql
    assert shown.output.count(f"handling, triage: {AWAY}") == 1


def test_one_service_that_does_not_reach_a_server_ends_status_with_1(monkeypatch: pytest.MonkeyPatch):
    looks(monkeypatch, [says(True), says(False, "triage-2")], rows(up=True))
    shown = CliRunner().invoke(app, ["status", "--json"])
    assert shown.exit_code == 1
    kafka = json.loads(shown.stdout)["servers"][0]
    assert (kafka["up"], kafka["unreached"]) == (True, ["triage-2"])


def test_what_a_service_cannot_do_now_ends_status_with_1_whatever_it_says_of_servers(monkeypatch: pytest.MonkeyPatch):
    looks(monkeypatch, [ServiceStatus("handling", "http://127.0.0.1:1", 7, True, True, "", cannot=[AWAY])])
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == 1 and f"handling: {AWAY}" in shown.output


def test_where_a_server_cannot_be_asked_from_here_services_say_how_it_is(monkeypatch: pytest.MonkeyPatch):
    looks(monkeypatch, [says(True), says(False, "triage")], rows(up=None))
    told = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["servers"]
    assert [(each["up"], each["seconds"], each["unreached"]) for each in told] == [(True, 0.004, ["triage"]), (True, 0.001, [])]
    looks(monkeypatch, [says(True), says(True, "triage")], rows(up=None))
    assert CliRunner().invoke(app, ["status"]).exit_code == 0


@pytest.fixture
def silent() -> Iterator[str]:
    """It takes connections, and answers none: as a process that stands still does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_whatever_stands_still_keeps_nobody_waiting(silent: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    words = ["context", "add", "frozen", "--url", f"http://{silent}", "--kafka", silent, "--database", f"postgresql://app@{silent}/x"]
    assert CliRunner().invoke(app, words).exit_code == 0
    began = time.monotonic()
    shown = CliRunner().invoke(app, ["status", "--context", "frozen", "--within", "1", "--json"])
    assert time.monotonic() - began < 30, "five services with two questions each, Kafka and PostgreSQL: one second for all of them"
    assert shown.exit_code == 1
    told = json.loads(shown.stdout)
    assert [(each["server"], each["up"]) for each in told["servers"]] == [(KAFKA, False), (POSTGRESQL, False)]
    assert {each["detail"] for each in told["services"]} == {"no answer in time"} and len(told["services"]) == 5


def test_an_installation_of_which_nothing_is_told_is_no_healthy_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["context", "add", "empty", "--kafka", "127.0.0.1:1"]).exit_code == 0
    for words in (["status"], ["parked"], ["effects"], ["relay"], ["verify"], ["audit", "list"], ["audit", "verify"], ["pending"]):
        shown = CliRunner().invoke(app, [*words, "--context", "empty"])
        assert shown.exit_code == 1, words
        assert "The context empty names" in " ".join(shown.output.split()), words
