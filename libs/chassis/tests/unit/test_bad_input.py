"""Whatever is sent, the answer is a problem with a stable code, never a 500, and never a word of what was sent."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from redress_chassis.api.validation import flaws

GOOD = {"title": "a", "text": "b"}
SECRET = "张三 13800138000"


def note(**fields):
    return json.dumps({**GOOD, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"{", 400, "malformed-json", ""),
        (b"", 422, "invalid", ""),
        (b"null", 422, "invalid", ""),
        (b"[]", 422, "invalid", ""),
        (b'"x"', 422, "invalid", ""),
        (b'{"title": "a", "text": "b",}', 400, "malformed-json", ""),
        (b'{"title": "a", "text": "\xff"}', 400, "malformed-json", ""),
        (b"\xef\xbb\xbf{}", 400, "malformed-json", ""),
        (b'{"title": "a\nb", "text": "b"}', 400, "malformed-json", ""),
        (b'{"title": "a", "text": "b", "text": "c"}', 422, "invalid", "/text"),
        (b'{"title": "a", "text": "b", "tags": [{"x": 1, "x": 2}]}', 422, "invalid", "/tags/0/x"),
        (b'{"title": "a", "text": "b", "weight": NaN}', 422, "invalid", "/weight"),
        (b'{"title": "a", "text": "b", "weight": -Infinity}', 422, "invalid", "/weight"),
        (b'{"title": "a", "text": "b", "weight": 1e999}', 422, "invalid", "/weight"),
        (b'{"title": "a", "text": "b", "count": 9223372036854775808}', 422, "invalid", "/count"),
        (b'{"title": "a", "text": "b", "count": ' + b"9" * 4000 + b"}", 422, "invalid", "/count"),
        (b'{"title": "a", "text": "b", "mixed": -' + b"9" * 3000 + b"}", 422, "invalid", "/mixed"),
        (b'{"title": "a\\u0000", "text": "b"}', 422, "invalid", "/title"),
        (b'{"title": "a", "text": "\\ud800"}', 422, "invalid", "/text"),
        (b'{"title": "a", "text": "x\\udc00y"}', 422, "invalid", "/text"),
        (b'{"title": "a", "text": "\\udc00\\ud800"}', 422, "invalid", "/text"),
        (b'{"title": "a", "text": "b", "\\ud800": 1}', 422, "invalid", "/\N{REPLACEMENT CHARACTER}"),
        (b'{"title": "a", "text": "b", "tags": ["c", "\\u0000"]}', 422, "invalid", "/tags/1"),
        (b"[" * 2000, 422, "invalid", ""),
        (b"[" * 40 + b"]" * 40, 422, "invalid", ""),
        (b"[" * 60 + b"]" * 60, 422, "invalid", "/0" * 50),
        (b'{"x":' * 60 + b"1" + b"}" * 60, 422, "invalid", "/x" * 50),
        (note(colour="red"), 422, "invalid", "/colour"),
        (note(**{"a/b~c": 1}), 422, "invalid", "/a~1b~0c"),
        (note(title=""), 422, "invalid", "/title"),
        (note(title="   "), 422, "invalid", "/title"),
        (note(title="x" * 201), 422, "invalid", "/title"),
        (note(title=7), 422, "invalid", "/title"),
        (note(title=None), 422, "invalid", "/title"),
        (note(count="7"), 422, "invalid", "/count"),
        (note(count=7.5), 422, "invalid", "/count"),
        (note(count=True), 422, "invalid", "/count"),
        (note(urgent="yes"), 422, "invalid", "/urgent"),
        (note(urgent=1), 422, "invalid", "/urgent"),
        (note(tags="abc"), 422, "invalid", "/tags"),
        (note(tags=["a", ""]), 422, "invalid", "/tags/1"),
        (note(mixed=[1]), 422, "invalid", "/mixed"),
        (note(at="2026-03-02T12:00:00"), 422, "invalid", "/at"),
        (note(at="0001-01-01T00:00:00+14:00"), 422, "invalid", "/at"),
        (note(at="9999-12-31T23:59:59-14:00"), 422, "invalid", "/at"),
        (note(at="2026-02-30T12:00:00Z"), 422, "invalid", "/at"),
        (note(at="1700000000"), 422, "invalid", "/at"),
        (note(at=1700000000), 422, "invalid", "/at"),
        (b'{"text": "b"}', 422, "invalid", "/title"),
        (note(text="x" * 5000), 413, "too-large", None),
        (note(text="refuse"), 409, "jar-full", None),
    ],
)
async def test_a_bad_body_is_answered_with_its_code_and_where_it_is(alice, jar, body, status, code, pointer):
    answer = await alice.post("/notes", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"], answer.json().get("pointer")) == (status, code, pointer)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert jar.rows == {}


@pytest.mark.parametrize("body", [note(title=SECRET, colour=SECRET), note(at=SECRET), note(title=SECRET * 30), note(mixed=[SECRET])])
async def test_what_was_sent_is_not_repeated(alice, body):
    answer = await alice.post("/notes", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert SECRET not in answer.text
    assert len(answer.json()["errors"]) >= 1


async def test_all_faults_are_listed_up_to_a_limit(alice):
    answer = await alice.post("/notes", json={f"x{n}": 1 for n in range(300)})

    assert len(answer.json()["errors"]) == 50


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=gbk"]
)
async def test_only_json_in_utf_8_is_read(alice, content_type):
    headers = {"content-type": content_type} if content_type else {}
    answer = await alice.post("/notes", content=note(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON", "application/vnd.x+json"]
)
async def test_json_by_its_other_names_is_read(alice, content_type):
    assert (await alice.post("/notes", content=note(), headers={"content-type": content_type})).status_code == 201


async def test_a_compressed_body_is_refused(alice):
    answer = await alice.post("/notes", content=b"\x1f\x8b", headers={"content-type": "application/json", "content-encoding": "gzip"})

    assert answer.status_code == 415


async def test_a_body_without_a_declared_length_is_counted_as_it_comes(alice):
    async def endless():
        while True:
            yield b" " * 1000

    answer = await alice.post("/notes", content=endless(), headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "not-found"),
        ("/notes/", 404, "not-found"),
        ("/notes/not-a-uuid", 422, "invalid"),
        ("/notes/01890000-0000-7000-8000-000000000001", 404, "not-found"),
        ("/notes/%00", 400, "malformed-address"),
        ("/notes/%ff", 400, "malformed-address"),
        ("/notes/%ed%a0%80", 400, "malformed-address"),
        ("/notes?word=%00", 400, "malformed-address"),
        ("/notes?word=%ff", 400, "malformed-address"),
        ("/notes?limit=0", 422, "invalid"),
        ("/notes?limit=201", 422, "invalid"),
        ("/notes?limit=ten", 422, "invalid"),
        ("/notes?limit=" + "9" * 5000, 422, "invalid"),
        ("/notes?cursor=x", 400, "bad-cursor"),
        ("/notes?cursor=" + "x" * 401, 422, "invalid"),
        ("/notes?cursor=W10", 400, "bad-cursor"),
    ],
)
async def test_a_bad_address_is_a_problem_too(alice, path, status, code):
    answer = await alice.get(path)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_fault_in_the_query_says_so(alice):
    errors = (await alice.get("/notes?limit=0")).json()["errors"]

    assert (errors[0]["in"], errors[0]["pointer"]) == ("query", "/limit")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("colour=red", [("/colour", "extra-forbidden")]),
        ("colour", [("/colour", "extra-forbidden")]),
        ("Limit=5", [("/Limit", "extra-forbidden")]),
        ("limit=5&limit=5", [("/limit", "repeated")]),
        ("a%2Fb=1&limit=5&word=x&word=y", [("/a~1b", "extra-forbidden"), ("/word", "repeated")]),
        ("&".join(f"n{n}=1" for n in range(60)), [(f"/n{n}", "extra-forbidden") for n in range(50)]),
    ],
)
async def test_what_a_path_does_not_know_is_not_asked_of_it(alice, query, found):
    answer = await alice.get(f"/notes?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == found
    assert {error["in"] for error in answer.json()["errors"]} == {"query"}
    assert found[0][0] in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/idle", "/docs", "/openapi.json", "/ops/parked"])
async def test_what_the_chassis_answers_knows_no_parameters(alice, path):
    assert (await alice.get(f"{path}?colour=red")).status_code == 422


async def test_a_command_knows_no_parameters(alice, jar):
    answer = await alice.post("/notes?colour=red", json={"title": "a", "text": "b"}, headers={"idempotency-key": "k"})

    assert (answer.status_code, answer.json()["pointer"], jar.metadata) == (422, "/colour", [])


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/metrics", "/idle", "/docs", "/openapi.json", "/notes", "/nowhere", "/notes/x"]
)
async def test_head_says_what_get_says_without_its_content(alice, path):
    head, get = await alice.head(path), await alice.get(path)

    assert (head.status_code, head.content) == (get.status_code, b"")
    assert set(head.headers) == set(get.headers)
    assert head.headers["content-type"] == get.headers["content-type"]
    assert path == "/metrics" or head.headers["content-length"] == get.headers["content-length"]


async def test_head_of_what_cannot_be_read_is_a_405(alice):
    assert (await alice.head("/notes/01890000-0000-7000-8000-000000000001/add")).status_code == 405


async def test_a_method_that_a_path_does_not_know_is_a_405(alice):
    answer = await alice.delete("/notes")

    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert "GET, HEAD" in answer.headers["allow"] or "POST" in answer.headers["allow"]
    assert (await alice.delete("/docs")).headers["allow"] in ("GET, HEAD", "HEAD, GET")
    assert (await alice.delete("/health/live")).headers["allow"] == "GET, HEAD"


names = st.text(max_size=8) | st.sampled_from(["title", "text", "at", "tags"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12)
words = st.text(min_size=1, max_size=20)
times = st.datetimes().map(str) | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat())
near_misses = st.fixed_dictionaries(
    {"title": words | anything, "text": words},
    optional={"at": times | anything, "count": anything, "tags": st.lists(words) | anything, "mixed": anything, "weight": anything},
)


def encoded(value) -> bytes:
    return json.dumps(value).encode()  # with NaN, huge integers and lone surrogates, which orjson would not write


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.one_of(st.binary(max_size=200), anything.map(encoded), near_misses.map(encoded)), data=st.data())
async def test_no_body_is_our_mistake(alice, jar, body, data):
    key = data.draw(st.text(st.characters(max_codepoint=255), max_size=30))
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key.encode("latin-1"))]
    before = len(jar.rows)

    answer = await alice.post("/notes", content=body, headers=headers)

    assert answer.status_code < 500, answer.text
    assert (len(jar.rows) > before) <= (answer.status_code == 201)
    if answer.status_code >= 400:
        assert answer.json()["code"]


class Asked(BaseModel):
    reason: str = Field(min_length=20)
    word: str = Field(min_length=1)


def test_a_text_that_is_too_short_is_told_how_long_it_must_be():
    with pytest.raises(ValidationError) as refused:
        Asked(reason="short", word="")
    said = [{**each, "loc": ("body", *each["loc"])} for each in refused.value.errors()]
    assert [(each.pointer, each.detail) for each in flaws(said, {"reason": "short", "word": ""})] == [
        ("/reason", "Write 20 characters at least."),
        ("/word", "Write something here: it must not be empty."),
    ]
