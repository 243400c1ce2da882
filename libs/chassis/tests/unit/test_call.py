"""What a call promises its endpoint: who asks, keys, tags, pages, and problems in place of exceptions."""

import re
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redress_chassis.api import etags, paging
from redress_chassis.edge.problems import Problem
from redress_chassis.edge.trace import continued
from redress_spine.store.engine import ClockOff, Conflict, Forgotten, KeyMissing, NotYet, PlaintextMissing, TooLarge, Unavailable
from redress_spine.store.states import Query

GOOD = {"title": "a", "text": "b"}


async def test_creating_answers_201_with_the_place_and_the_tag(alice, jar):
    answer = await alice.post("/notes", json=GOOD)

    assert answer.status_code == 201
    assert answer.headers["location"] == f"/notes/{answer.json()['id']}"
    assert answer.headers["etag"] == '"etag1"'
    assert jar.metadata[0].actor == "front-end:alice"
    assert jar.metadata[0].department == "network"


async def test_the_same_key_and_the_same_request_are_one_request(alice, jar):
    spaced = b'{ "text":"b",\n "title" : "\\u0061" }'
    first = await alice.post("/notes", json=GOOD)
    second = await alice.post("/notes", content=spaced, headers={"content-type": "application/json"})

    assert (first.status_code, first.json(), first.headers["location"]) == (second.status_code, second.json(), second.headers["location"])
    assert len(jar.rows) == 1


async def test_the_same_key_with_another_body_is_refused(alice, jar):
    await alice.post("/notes", json=GOOD)
    answer = await alice.post("/notes", json={**GOOD, "text": "c"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert len(jar.rows) == 1


async def test_anothers_key_is_another_key(alice, jar, issuer):
    await alice.post("/notes", json=GOOD)
    await alice.post("/notes", json=GOOD, headers={"authorization": f"Bearer {issuer.token('agent', sub='bob')}"})

    assert len(jar.rows) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", metadata.key) and len(metadata.request) == 32 for metadata in jar.metadata)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency-key-missing"),
        ("", "idempotency-key-invalid"),
        ("x" * 201, "idempotency-key-invalid"),
        ("a\tb", "idempotency-key-invalid"),
        ("\xe9", "idempotency-key-invalid"),
    ],
)
async def test_a_post_needs_a_usable_key(alice, jar, key, code):
    del alice.headers["idempotency-key"]
    headers = [] if key is None else [(b"idempotency-key", key.encode("latin-1"))]
    answer = await alice.post("/notes", json=GOOD, headers=headers)

    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["in"]) == (400, code, "header")
    assert jar.rows == {}


@pytest.mark.parametrize("key", ["x" * 200, "a b", '"quoted"', "~"])
async def test_any_printable_key_will_do(alice, key):
    assert (await alice.post("/notes", json=GOOD, headers={"idempotency-key": key})).status_code == 201


@pytest.fixture
async def note(alice):
    return (await alice.post("/notes", json=GOOD)).json()["id"]


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, 200),
        ("*", 200),
        ('"etag1"', 200),
        ('"x", "etag1"', 200),
        ('W/"etag1"', 412),
        ('"etag0"', 412),
        ("etag1", 412),
        ('"', 412),
        ("", 412),
    ],
)
async def test_a_command_is_for_the_state_that_if_match_names(alice, note, if_match, status):
    headers = {} if if_match is None else {"if-match": if_match}
    answer = await alice.post(f"/notes/{note}/add", json={**GOOD, "text": "c"}, headers=headers)

    assert answer.status_code == status
    assert answer.json().get("code", "precondition-failed") == "precondition-failed"
    assert (answer.headers.get("etag") == '"etag2"') == (status == 200)


async def test_a_repeat_is_answered_though_its_tag_is_stale_by_now(alice, note):
    for _ in range(2):
        answer = await alice.post(f"/notes/{note}/add", json={**GOOD, "text": "c"}, headers={"if-match": '"etag1"'})
        assert answer.json()["texts"] == ["b", "c"]


async def test_what_the_caller_may_not_see_is_not_there(alice, note, issuer):
    elsewhere = {"authorization": f"Bearer {issuer.token('handler', department='elsewhere')}"}
    hidden, missing = await alice.get(f"/notes/{note}", headers=elsewhere), await alice.get(f"/notes/{uuid4()}", headers=elsewhere)

    assert hidden.status_code == missing.status_code == 404
    assert {**hidden.json(), "trace": ""} == {**missing.json(), "trace": ""}


async def test_a_parked_subject_is_read_but_not_decided(alice, note, jar):
    jar.parked.add(f"note/{note}")

    assert (await alice.get(f"/notes/{note}")).status_code == 200
    answer = await alice.post(f"/notes/{note}/add", json=GOOD)
    assert (answer.status_code, answer.json()["code"]) == (409, "parked")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict(), 409, "conflict"),
        (Forgotten(), 409, "forgotten"),
        (TooLarge(), 413, "too-large"),
        (Unavailable("Kafka", 7), 503, "unavailable"),
        (NotYet("complaint/1", 1), 503, "not-yet"),
        (KeyMissing("complaint/1", 60), 503, "key-missing"),
        (PlaintextMissing("complaint/1", 60), 503, "words-missing"),
        (ClockOff("an hour"), 503, "clock-off"),
        (ConnectionRefusedError(), 503, "unavailable"),
        (TimeoutError(), 503, "unavailable"),
        (asyncpg.TransactionTimeoutError(), 503, "unavailable"),
        (asyncpg.LockNotAvailableError(), 503, "unavailable"),
        (asyncpg.ObjectNotInPrerequisiteStateError(), 503, "unavailable"),
        (asyncpg.DataError(), 500, "internal"),
        (ZeroDivisionError(), 500, "internal"),
    ],
)
async def test_what_goes_wrong_below_is_a_problem_with_a_code(alice, jar, error, status, code):
    jar.fails = error
    answer = await alice.post("/notes", json=GOOD)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_pages_follow_each_other_without_gap_or_repeat(alice):
    ids = [(await alice.post("/notes", json=GOOD, headers={"idempotency-key": str(n)})).json()["id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        page = (await alice.get("/notes", params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break

    assert seen == ids


async def test_a_cursor_is_good_for_its_own_list_alone(alice):
    for n in range(3):
        await alice.post("/notes", json=GOOD, headers={"idempotency-key": str(n)})
    cursor = (await alice.get("/notes?limit=1&word=a")).json()["next"]

    assert (await alice.get("/notes", params={"limit": 1, "word": "a", "cursor": cursor})).status_code == 200
    answer = await alice.get("/notes", params={"limit": 1, "word": "b", "cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-cursor")


NOTES = Query(name="notes", where="true", order="number", index="state_notes")


@given(cursor=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_made_up_cursor_gets_through(cursor):
    with pytest.raises(Problem) as caught:
        paging.place_of(cursor, NOTES, [])
    assert caught.value.code == "bad-cursor"


@given(order=st.integers(-(2**63) + 1, 2**63 - 1), args=st.lists(st.text(st.characters(codec="utf-8")) | st.integers(0, 9)))
def test_a_cursor_comes_back_as_it_was(order, args):
    subject = f"complaint/{uuid4()}"
    assert paging.place_of(paging.cursor_after(NOTES, args, order, subject), NOTES, args) == (order, subject)


@given(header=st.text())
def test_no_made_up_tag_matches(header):
    if header.strip() != "*" and '"etag"' not in header:
        with pytest.raises(Problem):
            etags.check(header, "etag")


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("header", [PARENT, PARENT.replace("00-", "01-", 1) + "-more"])
def test_a_callers_trace_goes_on_with_a_span_of_our_own(header):
    trace = continued(header)

    assert trace.trace == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert re.fullmatch(f"00-{trace.trace}-[0-9a-f]{{16}}-01", trace.parent)
    assert "00f067aa0ba902b7" not in trace.parent


@pytest.mark.parametrize(
    "header",
    [None, "", "x", PARENT + "-more", PARENT.upper(), PARENT.replace("00-", "ff-", 1), f"00-{'0' * 32}-{'1' * 16}-00", PARENT[:-1]],
)
def test_a_malformed_trace_is_replaced(header):
    assert re.fullmatch("[0-9a-f]{32}", continued(header).trace)
    assert continued(header).trace != "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_the_trace_goes_from_the_header_to_the_events_and_into_the_problem(alice, jar):
    await alice.post("/notes", json=GOOD, headers={"traceparent": PARENT})
    assert jar.metadata[0].correlation == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert jar.metadata[0].traceparent.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")

    answer = await alice.get("/nowhere", headers={"traceparent": PARENT})
    assert answer.json()["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"
