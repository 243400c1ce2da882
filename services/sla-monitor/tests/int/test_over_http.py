"""Deadlines over HTTP, as agents and ops read them: on the real PostgreSQL, and with Kafka out of reach, which must not matter here."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from redress_chassis import Settings
from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.handling import CaseResolved
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintRouted
from redress_local.issuer import AUDIENCE, ISSUER, Issuer
from redress_local.provision import Databases
from redress_sla_monitor.automations import BREACH, START
from redress_sla_monitor.domain.watch import AGGREGATE
from redress_sla_monitor.main import service
from redress_sla_monitor.packs import rules_in_force
from redress_spine.processing.projections import changes, write
from redress_spine.store import connections
from redress_spine.store.migrate import migrate
from redress_spine.store.states import Codec
from redress_spine.testing import Case, Spec

MIGRATIONS = Path(__file__).parents[2] / "migrations"
CODEC = Codec(AGGREGATE)
DAY = timedelta(days=1)
NOW = datetime.now(UTC)


def watched(received_at: datetime, department: str | None = None) -> Case:
    """A complaint whose classify clock runs."""
    registered = ComplaintRegistered(number="C-1", channel="web", kind="complaint", received_at=received_at, text="intake/1/text")
    routed = [(ComplaintRouted(routing=1, department=department, queue="any"), received_at)] if department else []
    return Spec(SLA_MONITOR, AGGREGATE).given((registered, received_at), *routed).at(received_at).when_due(START).after


def late(received_at: datetime, department: str | None = None) -> Case:
    return watched(received_at, department).at(received_at + 30 * DAY).when_due(BREACH).after


class Reader:
    """Somebody of some role who reads what sla-monitor was made to know."""

    def __init__(self, http: httpx.AsyncClient, issuer: Issuer, owner: asyncpg.Connection) -> None:
        self.http = http
        self.issuer = issuer
        self.owner = owner

    async def get(self, path: str, role: str = "agent", department: str | None = None, **query: str) -> httpx.Response:
        token = self.issuer.mint(role.split("+"), "alice", department=department)
        return await self.http.get(path, params=query, headers={"authorization": f"Bearer {token}"})

    async def knows(self, case: Case) -> str:
        identity, state = str(uuid.uuid4()), case.state
        row = f"complaint/{identity}", CODEC.dump_observed(state.observed), CODEC.dump_own(state.own)
        await self.owner.execute("INSERT INTO state (subject, partition, revision, observed, own) VALUES ($1, 0, 1, $2, $3)", *row)
        await write(self.owner, changes(AGGREGATE, row[0], None, (state.observed, state.own)))
        return identity


@pytest.fixture
async def reader(database: Callable[[str], Awaitable[Databases]], tmp_path: Path) -> AsyncIterator[Reader]:
    made = await database("sla-monitor")
    schema = await migrate(
        owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=MIGRATIONS, fold=service.fold, partitions=12
    )
    issuer = Issuer(tmp_path)
    settings = Settings(
        database_url=made.app_dsn,
        kafka="127.0.0.1:1",
        master_key_file=issuer.master_key,
        jwks=str(issuer.jwks),
        issuer=ISSUER,
        audience=AUDIENCE,
        profile="local",
    )
    app = service.app(settings)
    owner = await connections.connect(made.owner_dsn, server_settings={"search_path": f"{schema},public"})
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sla") as http:
        yield Reader(http, issuer, owner)
    await owner.close()


async def test_a_clock_shows_its_deadline_and_why(reader: Reader):
    complaint = await reader.knows(watched(NOW))
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
        rules_in_force({}).policy.name,
    )
    assert 0 < clock["seconds_left"] <= (datetime.fromisoformat(clock["deadline"]) - NOW).total_seconds()
    assert clock["explanation"][-1]["counts"]
    assert datetime.fromisoformat(clock["explanation"][-1]["end"]) == datetime.fromisoformat(clock["deadline"])


async def test_lists_are_in_the_order_of_deadlines_and_in_pages(reader: Reader):
    complaints = [await reader.knows(watched(NOW + n * 7 * DAY)) for n in (3, 1, 2)]
    in_order = [complaints[1], complaints[2], complaints[0]]
    first = (await reader.get("/deadlines", "ops", state="due", limit="2")).json()
    assert [item["complaint"] for item in first["items"]] == in_order[:2]
    last = (await reader.get("/deadlines", "ops", state="due", limit="2", cursor=first["next"])).json()
    assert ([item["complaint"] for item in last["items"]], last["next"]) == (in_order[2:], None)


async def test_before_leaves_out_that_very_deadline_and_all_later(reader: Reader):
    early, other = await reader.knows(watched(NOW)), await reader.knows(watched(NOW + 7 * DAY))
    everything = (await reader.get("/deadlines", state="due")).json()["items"]
    assert [item["complaint"] for item in everything] == [early, other]
    found = (await reader.get("/deadlines", state="due", before=everything[1]["deadline"])).json()["items"]
    assert [item["complaint"] for item in found] == [early]


async def test_what_is_late_is_not_due(reader: Reader):
    past = await reader.knows(late(NOW - 60 * DAY))
    assert (await reader.get("/deadlines", state="due")).json() == {"items": [], "next": None}
    (item,) = (await reader.get("/deadlines", state="late")).json()["items"]
    assert (item["complaint"], item["clocks"][0]["state"]) == (past, "late")
    assert item["clocks"][0]["seconds_left"] < 0
    assert (await reader.get("/deadlines", state="late", before=item["deadline"])).json()["items"] == []


async def test_a_complaint_without_a_clock_yet_has_an_empty_list(reader: Reader):
    resolved = CaseResolved(cycle=1, department="d", cause="", measures="", responsible_unit="u", told_customer="phone")
    complaint = await reader.knows(Spec(SLA_MONITOR, AGGREGATE).given((resolved, NOW)))
    assert (await reader.get(f"/complaints/{complaint}/clocks")).json() == {"complaint": complaint, "number": None, "clocks": []}


async def test_a_handler_sees_the_deadlines_of_their_department_and_no_others(reader: Reader):
    complaints = {
        (state, department): await reader.knows(made(NOW - 60 * DAY if state == "late" else NOW, department))
        for state, made in (("due", watched), ("late", late))
        for department in ("finance", "technical_support", None)
    }

    async def seen(role: str, department: str | None) -> set[str]:
        found = set()
        for (state, _), complaint in complaints.items():
            items = (await reader.get("/deadlines", role, department, state=state)).json()["items"]
            listed = complaint in [item["complaint"] for item in items]
            read = (await reader.get(f"/complaints/{complaint}/clocks", role, department)).status_code
            assert read == (200 if listed else 404)
            found |= {complaint} if listed else set()
        return found

    everything = set(complaints.values())
    assert await seen("handler", "finance") == {complaints["due", "finance"], complaints["late", "finance"]}
    assert await seen("handler", "consulting") == await seen("handler", None) == set()
    assert await seen("ops", None) == await seen("handler+ops", "finance") == await seen("ops+handler", None) == everything


async def test_the_list_of_a_department_goes_on_where_its_page_ended(reader: Reader):
    mine = [await reader.knows(watched(NOW + n * 7 * DAY, department)) for n, department in enumerate(["finance", "other"] * 3)][::2]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await reader.get("/deadlines", "handler", "finance", state="due", limit="1", **cursor)).json()
        found += [item["complaint"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == mine
    answer = await reader.get("/deadlines", "handler", "other", state="due", **cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-cursor")


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    (f"/complaints/{uuid.UUID(int=1)}/clocks", {"role": "agent"}, 503, "not-yet"),  # without Kafka nobody can say that it does not exist
    (f"/complaints/{uuid.UUID(int=1)}/clocks", {"role": "front-end"}, 403, "wrong-role"),
    ("/deadlines", {"role": "bi", "state": "due"}, 403, "wrong-role"),
    ("/deadlines", {}, 422, "invalid"),
    ("/deadlines", {"state": "tomorrow"}, 422, "invalid"),
    ("/deadlines", {"state": "due", "before": "2026-03-02T12:00:00"}, 422, "invalid"),
    ("/deadlines", {"state": "due", "cursor": "x"}, 400, "bad-cursor"),
]


@pytest.mark.parametrize(("path", "query", "status", "code"), REFUSED)
async def test_what_is_refused_says_why(reader: Reader, path: str, query: dict[str, Any], status: int, code: str):
    answer = await reader.get(path, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
