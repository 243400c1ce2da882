"""The table of permissions: what several roles may do together, on which objects, and that no endpoint is forgotten in it.

Long, for each way to reach an object stands beside the settings that change it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from redress_chassis import (
    ANYTHING,
    ANYTHING_UNLESS_BY_AREA,
    OWN,
    OWN_DEPARTMENT,
    OWN_UNLESS_SHARED,
    Caller,
    Permissions,
    Permitted,
    Service,
    Settings,
)
from redress_chassis.auth.permissions import NOBODY, Duties
from redress_chassis.edge.audit import BREAK_GLASS
from redress_chassis.edge.problems import Problem
from redress_chassis.operations.parked import OPERATIONS
from redress_events.event import Contract, Event
from redress_spine.aggregate import Aggregate, Table
from redress_spine.store.states import Query

NOTE = "00000000-0000-4000-8000-000000000001"
GOOD = {"title": "a", "text": "b"}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TABLE = Permissions(
    {"GET /things/{thing}": {"handler": OWN_DEPARTMENT, "ops": ANYTHING}, "GET /things": {"ops": ANYTHING}},
    reads={"words": ["handler"], "numbers": ["handler", "ops"]},
    department=lambda state: state.removeprefix("at "),
    known=lambda state: state.startswith("at "),
)
READ = TABLE["GET /things/{thing}"]


def caller(*roles: str, department: str | None = None) -> Caller:
    return Caller("alice", frozenset(roles), department)


@pytest.mark.parametrize(
    ("who", "reached_as"),
    [
        (caller("handler", department="here"), {"handler"}),
        (caller("handler", department="there"), set()),
        (caller("handler"), set()),
        (caller("ops"), {"ops"}),
        (caller("ops", "handler", department="there"), {"ops"}),
        (caller("handler", "ops", department="here"), {"handler", "ops"}),
        (caller("handler", "ops"), {"ops"}),
        (caller("bi", "ops"), {"ops"}),
        (caller("bi", department="here"), set()),
        (caller(), set()),
    ],
)
def test_an_object_is_reached_by_the_sum_of_the_roles(who: Caller, reached_as: set[str]):
    assert READ.on(who, "at here") == reached_as
    assert READ.on(who, "not known yet") == set()
    assert (ANYTHING in READ.reaches(who)) is ("ops" in who.roles)


def test_what_is_the_callers_own_is_theirs_alone():
    mine = Permissions({"GET /things": {"front-end": OWN}}, owner=lambda state: state)["GET /things"]
    assert mine.on(caller("front-end"), "alice") == {"front-end"}
    assert mine.on(caller("front-end"), "bob") == mine.on(caller("agent"), "alice") == set()
    assert mine.reaches(caller("front-end", "agent")) == {OWN}


def test_parts_of_an_answer_are_for_the_roles_in_which_it_is_reached():
    handler_elsewhere = caller("handler", "ops", department="there")
    assert TABLE.shown(READ.on(handler_elsewhere, "at there")) == {"words", "numbers"}
    assert TABLE.shown(READ.on(handler_elsewhere, "at here")) == {"numbers"}
    assert TABLE.shown(()) == set()


def test_who_has_several_roles_acts_in_the_one_that_reaches_furthest():
    assert READ.admitted(caller("handler", "ops", department="here")) == ("ops", "handler")
    assert READ.admitted(caller("handler", "bi")) == ("handler",)


@pytest.mark.parametrize(("permission", "named"), [(READ, "handler, ops"), (TABLE["GET /things"], "the role ops"), (NOBODY, "")])
def test_other_roles_are_refused(permission: Any, named: str):
    with pytest.raises(Problem) as caught:
        permission.admitted(caller("bi", "agent"))
    assert (caught.value.status, caught.value.code) == (403, "wrong-role")
    assert named in caught.value.detail


def test_what_the_table_does_not_name_is_for_nobody():
    assert TABLE["DELETE /things"] is NOBODY


async def test_a_second_role_takes_nothing_away(alice: httpx.AsyncClient, jar: Any, issuer: Any):
    jar.rows[f"note/{NOTE}"] = ("first",)

    async def status(*roles: str, **claims: str) -> int:
        headers = {"authorization": f"Bearer {issuer.token(*roles, **claims)}"}
        return (await alice.get(f"/notes/{NOTE}", headers=headers)).status_code

    assert await status("handler", department="elsewhere") == await status("handler") == 404
    assert await status("front-end") == 200
    for roles in (("handler", "front-end"), ("front-end", "handler"), ("bi", "front-end")):
        assert await status(*roles, department="elsewhere") == await status(*roles) == 200


async def test_a_command_is_decided_in_the_role_that_reaches_its_subject(alice: httpx.AsyncClient, jar: Any, issuer: Any):
    jar.rows[f"note/{NOTE}"] = ("first",)
    statuses = []
    callers = [(("handler",), "elsewhere"), (("handler", "supervisor"), "elsewhere"), (("handler",), "network")]
    for n, (roles, department) in enumerate(callers):
        headers = {"authorization": f"Bearer {issuer.token(*roles, department=department)}", "idempotency-key": str(n)}
        statuses.append((await alice.post(f"/notes/{NOTE}/add", json=GOOD, headers=headers)).status_code)
    assert statuses == [404, 200, 200]
    assert [metadata.actor for metadata in jar.metadata[-2:]] == ["supervisor:alice", "handler:alice"]


async def test_a_list_holds_what_is_reached_and_nothing_else(alice: httpx.AsyncClient, jar: Any, issuer: Any):
    jar.rows[f"note/{NOTE}"] = ("first",)

    async def found(**claims: str) -> int:
        answer = await alice.get("/notes", headers={"authorization": f"Bearer {issuer.token('handler', **claims)}"})
        return len(answer.json()["items"])

    assert await found() == 0
    assert jar.pages == []
    assert await found(department="network") == 1
    ((query, args),) = jar.pages
    assert (query.where, query.index, args) == ("(true) AND s.department = $2::text", "state_notes_of", ("", "network"))


def test_a_list_that_knows_no_departments_is_an_error_and_not_shown_whole():
    with pytest.raises(ValueError, match="not told apart"):
        Query("notes", "true", order="number", index="state_notes").of_department(0)


async def test_a_list_of_what_is_the_callers_own_is_asked_for_their_part(alice: httpx.AsyncClient, jar: Any, issuer: Any):
    answer = await alice.get("/written", headers={"authorization": f"Bearer {issuer.token('front-end', 'agent', department='network')}"})
    assert answer.status_code == 200
    ((query, args),) = jar.pages
    assert (query.where, query.index, args) == ("(true) AND s.writer = $1::text", "state_notes_by", ("alice",))


def test_a_list_that_knows_no_owners_is_an_error_and_not_shown_whole():
    with pytest.raises(ValueError, match="not told apart"):
        Query("notes", "true", order="number", index="state_notes").of_owner(0)


async def listed(call: Permitted[Any]) -> dict[str, str]:
    return {}


async def unasked() -> dict[str, str]:
    return {}


@pytest.mark.parametrize(
    ("routes", "table", "said"),
    [
        ([("/things", listed)], {}, "Nobody may call GET /things"),
        ([("/things", unasked)], {"GET /things": {"ops": ANYTHING}}, "/things does not ask who may call it"),
        ([], {"GET /things": {"ops": ANYTHING}}, "names GET /things, which is not there"),
    ],
)
def test_no_service_is_made_whose_table_and_routes_differ(routes: list[Any], table: Any, said: str):
    class Happened(Event):
        pass

    contract, router = Contract("jar", Happened), APIRouter()
    for path, endpoint in routes:
        router.get(path)(endpoint)
    service = Service(
        "jar",
        aggregates={"note": Aggregate(object, lambda observed, event, at: observed, lambda own, event, at: own)},
        contract=contract,
        contracts={"jar": contract},
        permissions=Permissions(table),
        routes=[router],
    )
    with pytest.raises(ValueError, match=said):
        service.app()


SHARED = Permissions({"GET /things": {"front-end": OWN_UNLESS_SHARED}, "GET /mine": {"front-end": OWN}}, owner=lambda state: state)


def test_what_is_a_front_ends_own_is_shared_where_a_setting_says_so():
    bob, everybody = caller("front-end"), SHARED.under(Duties(front_ends="anything"))
    for table in (SHARED, SHARED.under(Duties())):
        assert table["GET /things"].on(bob, "alice") == {"front-end"}
        assert table["GET /things"].on(bob, "carol") == set()
    assert everybody["GET /things"].on(bob, "carol") == {"front-end"}
    assert everybody["GET /mine"].on(bob, "carol") == set()


JUDGED = Permissions({"POST /things": {"agent": ANYTHING}}, done_by={"POST /things": lambda state: state})


@pytest.mark.parametrize(
    ("done_by", "duties", "refused"),
    [
        ("alice", Duties(), True),
        ("bob", Duties(), False),
        (None, Duties(), False),
        ("alice", Duties(four_eyes=False), False),
    ],
)
def test_nobody_judges_their_own_work_unless_a_setting_lets_them(done_by: str | None, duties: Duties, refused: bool):
    permission = JUDGED.under(duties)["POST /things"]
    if not refused:
        permission.expect_other(caller("agent"), done_by)
        return
    with pytest.raises(Problem) as caught:
        permission.expect_other(caller("agent"), done_by)
    assert (caught.value.status, caught.value.code) == (403, "own-work")


def test_a_table_says_of_operations_that_are_there_alone_whose_work_they_judge():
    with pytest.raises(ValueError, match="names POST /things, which is not there"):
        Permissions({}, done_by={"POST /things": lambda state: state}).check([], lambda route: True, ())


@pytest.mark.parametrize(
    ("kept", "days", "reached"),
    [
        (timedelta(days=30), 29, True),
        (timedelta(days=30), 31, False),
        (timedelta(0), 1, False),
        (None, 3650, True),
    ],
)
def test_what_has_ended_lies_with_its_department_for_a_while(kept: timedelta | None, days: int, reached: bool):
    table = Permissions(
        {"GET /things": {"handler": OWN_DEPARTMENT, "supervisor": ANYTHING}},
        department=lambda state: "here",
        ended_at=lambda state: state,
    )
    permission = table.under(Duties(ended_kept=kept))["GET /things"]
    ended = NOW - timedelta(days=days)
    assert bool(permission.on(caller("handler", department="here"), ended, NOW)) is reached
    assert permission.on(caller("handler", department="here"), None, NOW), "it has not ended"
    assert permission.on(caller("supervisor"), ended, NOW), "supervisors go on"
    assert bool(permission.on(caller("handler", department="here"), datetime.now(UTC) - timedelta(days=days))) is reached


async def test_neither_a_list_nor_a_reading_has_what_ended_too_long_ago(alice: httpx.AsyncClient, jar: Any, issuer: Any):
    other = NOTE[:-1] + "2"
    jar.rows |= {f"note/{NOTE}": ("first",), f"note/{other}": ("first", "over")}
    headers = {"authorization": f"Bearer {issuer.token('handler', department='network')}"}
    listed = (await alice.get("/notes", headers=headers)).json()["items"]
    assert [each["id"] for each in listed] == [NOTE]
    assert (await alice.get(f"/notes/{NOTE}", headers=headers)).status_code == 200
    assert (await alice.get(f"/notes/{other}", headers=headers)).status_code == 404
    assert (await alice.get(f"/notes/{other}")).status_code == 200, "a front end of the toy reaches all"


async def test_a_broken_glass_shows_no_list_what_ended_too_long_ago(service: Service, settings: Settings, jar: Any, issuer: Any):
    service.permissions = replace(service.permissions, break_glass=["handler"])
    jar.rows |= {f"note/{NOTE}": ("first", "over")}
    headers = {"authorization": f"Bearer {issuer.token('handler', department='network')}", BREAK_GLASS: "Ticket 4711: the customer waits."}
    app = service.app(settings, engine=jar)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar") as client:
        assert (await client.get("/notes", headers=headers)).json()["items"] == []
        assert (await client.get(f"/notes/{NOTE}", headers=headers)).status_code == 200
    assert [record["kind"] for record in jar.audited] == ["break-glass"]


APART = Permissions(
    {"POST /things": {"front-end": ANYTHING, "agent": ANYTHING}, "GET /things/{thing}": {"front-end": OWN_UNLESS_SHARED}},
    channel=lambda state: state,
    by_channel={"POST /things": ["front-end"]},
)


def test_front_ends_are_told_apart_by_channel_where_a_setting_says_so():
    by_channel, shop = APART.under(Duties(front_ends="channel")), replace(caller("front-end"), channels=frozenset({"shop"}))
    assert by_channel["GET /things/{thing}"].on(shop, "shop") == {"front-end"}
    assert by_channel["GET /things/{thing}"].on(shop, "web") == by_channel["GET /things/{thing}"].on(caller("front-end"), "shop") == set()
    begin = by_channel["POST /things"]
    begin.expect_channel(shop, "shop")
    begin.expect_channel(replace(shop, roles=frozenset({"front-end", "agent"})), "web")  # agents write down what comes by all
    APART.under(Duties())["POST /things"].expect_channel(shop, "web")
    for who, said in ((shop, "own channels: shop"), (caller("front-end", "bi"), "names no channel")):
        with pytest.raises(Problem, match=said) as caught:
            begin.expect_channel(who, "web")
        assert (caught.value.status, caught.value.code) == (403, "wrong-channel")


def test_a_table_says_of_operations_that_are_there_alone_who_begins_by_channel():
    with pytest.raises(ValueError, match="names POST /things, which is not there"):
        Permissions({}, by_channel={"POST /things": ["front-end"]}).check([], lambda route: True, ())


AREAS = Permissions({"GET /things": {"agent": ANYTHING_UNLESS_BY_AREA, "supervisor": ANYTHING}}, area=lambda state: state)


@pytest.mark.parametrize(
    ("area", "reached"), [("north", True), (" NORTH", True), ("Ｎorth", True), ("south", False), (None, True), ("  ", True)]
)
def test_agents_reach_their_areas_and_what_is_in_none_where_a_setting_says_so(area: str | None, reached: bool):
    ann = replace(caller("agent"), areas=frozenset({"north"}))
    apart = AREAS.under(Duties(agents_by_area=True))["GET /things"]
    assert bool(apart.on(ann, area)) is reached
    assert bool(apart.on(caller("agent"), area)) is (reached and not (area or "").strip())
    assert apart.on(caller("supervisor"), area) == {"supervisor"}
    for together in (AREAS, AREAS.under(Duties())):
        assert together["GET /things"].on(ann, area) == {"agent"}


LISTED = Query("things", "true", order="number", index="things_number", own="things_of", near="things_in", table=Table("things", {}))


async def test_a_list_is_asked_for_the_agents_areas(service: Service, settings: Settings, jar: Any, issuer: Any):
    async def listed(call: Permitted[Any]) -> list[str]:
        return [str(each.id) for each in (await call.page(LISTED)).items]

    router = APIRouter()
    router.get("/things")(listed)
    service.routes = (router,)
    service.permissions = Permissions(
        {"GET /things": {"agent": ANYTHING_UNLESS_BY_AREA, "handler": OWN_DEPARTMENT}},
        department=lambda state: "network",
        area=lambda state: state[0],
    ).joined(OPERATIONS)
    jar.rows |= {f"note/{NOTE}": ("North",), f"note/{NOTE[:-1]}2": ("south",)}
    app = service.app(settings.model_copy(update={"agents_reach": "area"}), engine=jar)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar") as client:
        agent = {"authorization": f"Bearer {issuer.token('agent', areas=['NORTH'])}"}
        assert (await client.get("/things", headers=agent)).json() == [NOTE]
        both = {"authorization": f"Bearer {issuer.token('agent', 'handler', areas=['NORTH'], department='network')}"}
        assert len((await client.get("/things", headers=both)).json()) == 2
    (of_agent, areas), (of_both, filters) = jar.pages
    assert (of_agent.index, of_agent.parts_at, of_agent.department_at, areas) == ("things_in", 1, 0, (["", "north"],))
    assert (of_both.parts_at, of_both.department_at, filters) == (1, 2, (["", "north"], "network"))


def test_a_list_that_knows_no_areas_is_an_error_and_not_shown_whole():
    with pytest.raises(ValueError, match="not told apart by area"):
        Query("notes", "true", order="number", index="state_notes").of_areas(0)
