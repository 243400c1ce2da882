"""Deadlines over HTTP, as agents and ops read them: on the real PostgreSQL, and with Kafka out of reach, which must not matter here."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintRouted
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve
from redress_sla_monitor.automations import BREACH, start_by
from redress_sla_monitor.domain.aggregate import AGGREGATE
from redress_sla_monitor.main import service
from redress_sla_monitor.policies import in_force
from redress_spine.testing import Spec, StorySoFar

DAY = timedelta(days=1)
NOW = datetime.now(UTC)


def watched(received_at: datetime, department: str | None = None) -> StorySoFar:
    """A complaint whose classify clock runs."""
    registered = ComplaintRegistered(number="C-1", channel="web", kind="complaint", received_at=received_at, text="intake/1/text")
    routed = [(ComplaintRouted(routing=1, department=department, queue="any"), received_at)] if department else []
    return Spec(SLA_MONITOR, AGGREGATE).given((registered, received_at), *routed).at(received_at).when_due(start_by(in_force())).after


def late(received_at: datetime, department: str | None = None) -> StorySoFar:
    return watched(received_at, department).at(received_at + 30 * DAY).when_due(BREACH).after


@pytest.fixture
async def reader(serve: Serve) -> OverHttp:
    return await serve(service, "agent")


async def test_a_clock_shows_its_deadline_and_why(reader: OverHttp):
    complaint = await reader.knows(*watched(NOW).happened)
    answer = await reader.get(f"/complaints/{complaint}/clocks")
    assert answer.status_code == 200
    assert answer.headers["etag"]
    body = answer.json()
    assert (body["complaint"], body["number"]) == (complaint, "C-1")
    (clock,) = body["clocks"]
    assert (clock["clock"], clock["state"], clock["target"], clock["policy"]) == (
        "classify",
        "open",
        "1 working day",
        in_force({}).policy.name,
    )
    assert 0 < clock["seconds_left"] <= (datetime.fromisoformat(clock["deadline"]) - NOW).total_seconds()
    assert clock["explanation"][-1]["counts"]
    assert datetime.fromisoformat(clock["explanation"][-1]["end"]) == datetime.fromisoformat(clock["deadline"])


async def test_lists_are_in_the_order_of_deadlines_and_in_pages(reader: OverHttp):
    complaints = [await reader.knows(*watched(NOW + n * 7 * DAY).happened) for n in (3, 1, 2)]
    in_order = [complaints[1], complaints[2], complaints[0]]
    first = (await reader.get("/deadlines", "ops", state="due", limit="2")).json()
    assert [item["complaint"] for item in first["items"]] == in_order[:2]
    last = (await reader.get("/deadlines", "ops", state="due", limit="2", cursor=first["next"])).json()
    assert ([item["complaint"] for item in last["items"]], last["next"]) == (in_order[2:], None)


async def test_before_leaves_out_that_very_deadline_and_all_later(reader: OverHttp):
    early, other = await reader.knows(*watched(NOW).happened), await reader.knows(*watched(NOW + 7 * DAY).happened)
    everything = (await reader.get("/deadlines", state="due")).json()["items"]
    assert [item["complaint"] for item in everything] == [early, other]
    found = (await reader.get("/deadlines", state="due", before=everything[1]["deadline"])).json()["items"]
    assert [item["complaint"] for item in found] == [early]


async def test_what_is_late_is_not_due(reader: OverHttp):
    past = await reader.knows(*late(NOW - 60 * DAY).happened)
    assert (await reader.get("/deadlines", state="due")).json() == {"items": [], "next": None}
    (item,) = (await reader.get("/deadlines", state="late")).json()["items"]
    assert (item["complaint"], item["clocks"][0]["state"]) == (past, "late")
    assert item["clocks"][0]["seconds_left"] < 0
    assert (await reader.get("/deadlines", state="late", before=item["deadline"])).json()["items"] == []


async def test_a_complaint_without_a_clock_yet_has_an_empty_list(reader: OverHttp):
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    complaint = await reader.knows((resolved, NOW))
    assert (await reader.get(f"/complaints/{complaint}/clocks")).json() == {"complaint": complaint, "number": None, "clocks": []}


async def test_a_handler_sees_the_deadlines_of_their_department_and_no_others(reader: OverHttp):
    complaints = {
        (state, department): await reader.knows(*made(NOW - 60 * DAY if state == "late" else NOW, department).happened)
        for state, made in (("due", watched), ("late", late))
        for department in ("finance", "technical_support", None)
    }

    async def seen(who: str) -> set[str]:
        found = set()
        for (state, _), complaint in complaints.items():
            items = (await reader.get("/deadlines", who, state=state)).json()["items"]
            listed = complaint in [item["complaint"] for item in items]
            read = (await reader.get(f"/complaints/{complaint}/clocks", who)).status_code
            assert read == (200 if listed else 404)
            found |= {complaint} if listed else set()
        return found

    everything = set(complaints.values())
    assert await seen("handler/ann/finance") == {complaints["due", "finance"], complaints["late", "finance"]}
    assert await seen("handler/ann/consulting") == await seen("handler") == set()
    assert await seen("ops") == await seen("handler+ops/ann/finance") == await seen("ops+handler") == everything


async def test_the_list_of_a_department_goes_on_where_its_page_ended(reader: OverHttp):
    mine = [await reader.knows(*watched(NOW + n * 7 * DAY, department).happened) for n, department in enumerate(["finance", "other"] * 3)][
        ::2
    ]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await reader.get("/deadlines", "handler/ann/finance", state="due", limit="1", **cursor)).json()
        found += [item["complaint"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == mine
    answer = await reader.get("/deadlines", "handler/ann/other", state="due", **cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-cursor")


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    (f"/complaints/{uuid.UUID(int=1)}/clocks", {"who": "agent"}, 503, "not-yet"),  # without Kafka nobody can say that it does not exist
    (f"/complaints/{uuid.UUID(int=1)}/clocks", {"who": "front-end"}, 403, "wrong-role"),
    ("/deadlines", {"who": "bi", "state": "due"}, 403, "wrong-role"),
    ("/deadlines", {}, 422, "invalid"),
    ("/deadlines", {"state": "tomorrow"}, 422, "invalid"),
    ("/deadlines", {"state": "due", "before": "2026-03-02T12:00:00"}, 422, "invalid"),
    ("/deadlines", {"state": "due", "cursor": "x"}, 400, "bad-cursor"),
]


@pytest.mark.parametrize(("path", "query", "status", "code"), REFUSED)
async def test_what_is_refused_says_why(reader: OverHttp, path: str, query: dict[str, Any], status: int, code: str):
    answer = await reader.get(path, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
