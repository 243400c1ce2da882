"""What the audit trail is told: readings before their answers leave, refusals, who broke the glass; and what it is not told."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from redress_chassis import ANYTHING, OWN_DEPARTMENT, Permissions, Permitted, Service, SubjectId
from redress_chassis.edge import audit
from redress_chassis.edge.problems import Problem
from redress_events.event import Contract, Event
from redress_spine.aggregate import Aggregate
from redress_spine.store.engine import Unavailable
from redress_spine.store.states import Query

NOTE = "note/00000000-0000-7000-8000-000000000001"
PATH = f"/{NOTE.replace('note/', 'notes/')}"
REASON = "Ticket 4711: the customer waits at our counter."
NOTES = Query(name="notes", where="true", order="number", index="state_notes")
router = APIRouter()
PERMISSIONS = Permissions(
    {
        "GET /notes/{note}": {"handler": OWN_DEPARTMENT, "supervisor": ANYTHING},
        "POST /notes/{note}": {"handler": OWN_DEPARTMENT},
        "GET /notes": {"supervisor": ANYTHING},
        "GET /found": {"supervisor": ANYTHING},
        "GET /numbers": {"handler": OWN_DEPARTMENT},
    },
    department=lambda state: "network",
    known=lambda state: bool(state),
    break_glass=["handler"],
)


class NoteView(BaseModel):
    words: list[str]


class NoteTaken(Event):
    text: str


@router.get("/notes/{note}")
async def read_note(note: SubjectId, call: Permitted[Any]) -> NoteView:
    loaded = await call.read(note)
    if "fail" in loaded.state:
        await call.words(loaded, "jar/1/text")
        raise LookupError
    return NoteView(words=list((await call.words(loaded, *loaded.state, None)).values()))


@router.post("/notes/{note}")
async def add_note(note: SubjectId, call: Permitted[Any]) -> NoteView:
    await call.decide(note, None, lambda *_: [])
    return NoteView(words=[])


@router.get("/notes")
async def list_notes(call: Permitted[Any], limit: int = 50) -> NoteView:
    page = await call.page(NOTES, limit=limit)
    for loaded in page.items:
        await call.words(loaded, *loaded.state)
    return NoteView(words=[])


@router.get("/found")
async def find_notes(call: Permitted[Any]) -> NoteView:
    await call.found("phone", "13900000000")
    return NoteView(words=[])


@router.get("/numbers")
async def count_notes(call: Permitted[Any]) -> NoteView:
    return NoteView(words=[])


@pytest.fixture
def service() -> Service:
    contract = Contract("jar", NoteTaken)
    kind = Aggregate(object, lambda observed, event, at: observed, lambda own, event, at: own)
    return Service(
        "jar", aggregates={"note": kind}, contract=contract, contracts={"jar": contract}, permissions=PERMISSIONS, routes=[router]
    )


@pytest.fixture
def ask(client: httpx.AsyncClient, issuer: Any, jar: Any) -> Any:
    """Asks as alice, in roles, of a department."""
    jar.rows[NOTE] = ("jar/1/text", "jar/2/phone")
    jar.digest = lambda *_: b"digest"

    async def asked(
        path: str, *roles: str, department: str | None = None, method: str = "GET", reason: str | None = None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {issuer.token(*roles, department=department)}"}
        return await client.request(method, path, headers=headers | ({audit.BREAK_GLASS: reason} if reason is not None else {}))

    return asked


async def counted(client: httpx.AsyncClient, kind: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f'redress_audit_records_total{{kind="{kind}"}}'))


async def test_a_reading_says_who_read_which_fields_of_whom_from_where_and_why_they_might(ask, jar, client):
    answer = await ask(PATH, "handler", "bi", department="network")
    assert answer.json() == {"words": ["clear jar/1/text", "clear jar/2/phone"]}
    (record,) = jar.audited
    assert record.pop("trace")
    assert record == {
        "kind": "reading",
        "who": "alice",
        "roles": ["bi", "handler"],
        "department": "network",
        "operation": "GET /notes/{note}",
        "subjects": {NOTE: ["jar/1/text", "jar/2/phone"]},
        "allowed": {"handler": "own department"},
        "address": "127.0.0.1",
    }
    assert await counted(client, "reading") == 1


async def test_who_knows_how_it_stands_is_told_so_and_nothing_is_opened_or_recorded(ask, jar, client, issuer):
    bearer = {"authorization": f"Bearer {issuer.token('supervisor')}"}
    tag = (await client.get(PATH, headers=bearer)).headers["etag"]
    jar.audited.clear()
    for known in (tag, f'"other", W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, PATH, headers=bearer | {"if-none-match": known})
            assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b""), known
    assert jar.audited == []
    for known in ('"other"', tag.strip('"'), ""):
        assert (await client.get(PATH, headers=bearer | {"if-none-match": known})).status_code == 200, known
    assert (await client.get("/notes", headers=bearer | {"if-none-match": "*"})).status_code == 200, "a list has no tag"
    stranger = {"authorization": f"Bearer {issuer.token('handler', department='elsewhere')}", "if-none-match": tag}
    assert (await client.get(PATH, headers=stranger)).status_code == 404, "who may not see it is not told how it stands"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_reading_that_cannot_be_recorded_is_not_answered(ask, jar, client, method):
    jar.unaudited = Unavailable("away")
    answer = await ask(PATH, "supervisor", method=method)
    assert answer.status_code == 503
    assert b"clear" not in answer.content
    assert "etag" not in answer.headers
    assert await counted(client, "not-written") == 1


async def test_a_list_is_one_record_with_all_whose_words_it_shows(ask, jar):
    jar.rows["note/00000000-0000-7000-8000-000000000002"] = ("jar/1/text",)
    for path in ("/notes", "/notes?limit=1"):
        assert (await ask(path, "supervisor")).status_code == 200
    assert [{subject[-1]: len(each) for subject, each in record["subjects"].items()} for record in jar.audited] == [
        {"1": 2, "2": 1},
        {"1": 2},
    ]


async def test_a_search_says_by_which_field_and_what_was_found_and_not_the_value(ask, jar):
    await ask("/found", "supervisor")
    (record,) = jar.audited
    assert (record["searched"], record["subjects"]) == ("phone", {NOTE: []})
    assert "13900000000" not in str(record)


async def test_what_shows_nothing_personal_is_not_recorded(ask, jar, client):
    jar.rows[NOTE] = ("",)
    assert (await ask(PATH, "supervisor")).status_code == 200
    assert (await ask("/numbers", "handler", department="network")).status_code == 200
    assert (await client.get("/health/live")).status_code == 200
    jar.rows[NOTE] = ("fail",)
    assert (await ask(PATH, "supervisor")).status_code == 500
    assert jar.audited == []


async def test_who_lacks_the_role_is_recorded(ask, jar, client):
    assert (await ask(PATH, "bi")).status_code == 403
    (record,) = jar.audited
    said = {"kind": "refusal", "who": "alice", "operation": "GET /notes/{note}", "subjects": {}, "code": "wrong-role"}
    assert said.items() <= record.items()
    assert await counted(client, "refusal") == 1


async def test_what_is_out_of_reach_is_recorded_and_what_is_not_there_is_not(ask, jar):
    hidden = await ask(PATH, "handler", department="elsewhere")
    missing = await ask(f"/notes/{uuid4()}", "handler", department="elsewhere")
    jar.rows[NOTE] = ()
    unknown = await ask(PATH, "handler", department="elsewhere")
    assert {each.json()["code"] for each in (hidden, missing, unknown)} == {"not-found"}
    (record,) = jar.audited
    assert {"kind": "refusal", "code": "out-of-reach", "subjects": {NOTE: []}, "department": "elsewhere"}.items() <= record.items()


async def test_a_refusal_that_cannot_be_recorded_is_a_503(ask, jar):
    jar.unaudited = Unavailable("away")
    assert (await ask(PATH, "bi")).status_code == 503


async def test_who_has_no_usable_token_is_counted_and_waits_for_nothing(client, jar):
    jar.unaudited = Unavailable("away")
    for headers in ({}, {"authorization": "Bearer nonsense"}):
        assert (await client.get(PATH, headers=headers)).status_code == 401
    assert jar.tallied == [{"kind": "refusal", "address": "127.0.0.1", "code": code} for code in ("no-token", "bad-token")]
    assert jar.audited == []


async def test_who_says_why_reads_beyond_their_department_and_it_is_recorded_as_that(ask, jar, client):
    answer = await ask(PATH, "handler", department="elsewhere", reason=quote("客户在柜台等着,工单 4711,需要马上看到原话和联系方式"))
    assert answer.json()["words"] == ["clear jar/1/text", "clear jar/2/phone"]
    (record,) = jar.audited
    assert (record["kind"], record["reason"]) == ("break-glass", "客户在柜台等着,工单 4711,需要马上看到原话和联系方式")
    assert (record["subjects"], record["allowed"]) == ({NOTE: ["jar/1/text", "jar/2/phone"]}, {"handler": "break glass"})
    assert await counted(client, "break-glass") == 1


async def test_a_glass_that_was_broken_for_nothing_personal_is_recorded_too(ask, jar):
    jar.rows[NOTE] = ("",)
    await ask(PATH, "handler", department="elsewhere", reason=REASON)
    (record,) = jar.audited
    assert (record["kind"], record["subjects"]) == ("break-glass", {NOTE: []})


async def test_a_reason_changes_nothing_for_who_reaches_it_and_nothing_for_who_may_not_break_the_glass(ask, jar):
    assert (await ask(PATH, "handler", department="network", reason=REASON)).status_code == 200
    assert (await ask(PATH, "supervisor", reason="short")).status_code == 200
    assert (await ask(PATH, "bi", reason=REASON)).status_code == 403
    assert (await ask(PATH, "handler", department="elsewhere", method="POST", reason=REASON)).status_code == 404
    assert [(each["kind"], each.get("reason")) for each in jar.audited] == [
        ("reading", None),
        ("reading", None),
        ("refusal", None),
        ("refusal", None),
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", "is empty"),
        ("in a hurry", "has 10 characters, and 20 at least"),
        ("x" * 201, "has 201 characters, and may have 200"),
        ("call the customer at 139 0000 0000 now", "phone number"),
        (quote("call the customer at １３９ ００００ ００００ now"), "phone number"),
        ("write to li(at)example.com that it is done", "e-mail address"),
        ("%FF" * 20, "not UTF-8"),
        (f"{REASON}%0Aline", "a line break"),
        (f"{REASON}%1B[2J", "an invisible character"),
    ],
)
async def test_a_reason_is_a_sentence_without_personal_data(ask, jar, reason, said):
    answer = await ask(PATH, "handler", department="elsewhere", reason=reason)
    assert said in answer.json()["errors"][0]["detail"]
    assert (answer.status_code, answer.json()["errors"][0]["code"], answer.json()["pointer"]) == (422, "no-reason", "/redress-break-glass")
    assert jar.audited == []


def test_a_header_that_is_not_utf_8_is_no_reason():
    with pytest.raises(Problem):
        audit.reason_of(b"\xff" * 40)


def test_the_document_says_who_may_break_the_glass(service, settings, jar):
    paths = service.app(settings, engine=jar).openapi()["paths"]
    headers = {
        path: [each["name"] for each in operations["get"].get("parameters", []) if each["in"] == "header"]
        for path, operations in paths.items()
        if "get" in operations and not path.startswith("/ops")
    }
    assert headers == {"/notes/{note}": ["If-None-Match", audit.BREAK_GLASS], "/notes": [], "/found": [], "/numbers": []}
