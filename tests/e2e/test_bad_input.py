"""Whatever is sent, the answer is a problem with a stable code and the place of the fault, never a 500, and not one row is written.

Long, for it is mostly the table of what is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from live import CHARGED, CONTACT, RESOLVE, SLOW, Live, eventually, fresh_key, ok, problem

from redress_local.issuer import AUDIENCE, ISSUER
from redress_local.places import SERVICES

GIVEN: dict[str, Any] = {"channel": "web", "text": SLOW}
MOST = 256 * 1024
TABLES = ("events", "state", "sealed", "keys", "idempotency", "parked", "dead_letters")
ROWS = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in TABLES)


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def text(raw: str) -> bytes:
    return b'{"channel":"web","text":' + raw.encode() + b"}"


@pytest.fixture(scope="module")
def stranger(live: Live) -> str:
    """A complaint that lies with technical_support, not yet accepted, while nothing else happens."""
    complaint = live.register(SLOW)
    live.case(complaint, "technical_support")
    live.idle()
    return complaint


@pytest.fixture
def untouched(live: Live, stranger: str) -> Iterator[None]:
    """No service has one row more after the test than before."""
    before = rows(live)
    yield
    assert rows(live) == before


def rows(live: Live) -> dict[str, dict[str, int]]:
    return {service: dict(live.sql(service, ROWS)[0]) for service in SERVICES}


def post(
    live: Live, body: bytes, service: str = "intake", path: str = "/complaints", role: str = "front-end", **headers: str
) -> httpx.Response:
    department = "technical_support" if role == "handler" else None
    headers = {"content-type": "application/json", "idempotency-key": fresh_key()} | {n.replace("_", "-"): v for n, v in headers.items()}
    with live.http(service, role, department=department) as client:
        return client.post(path, content=body, headers=headers)


MALFORMED = {
    "cut off": b'{"channel": "web", "text": ',
    "no JSON at all": b"channel=web&text=slow",
    "not UTF-8": b'{"channel": "web", "text": "\xff\xfe"}',
    "UTF-16": json.dumps(GIVEN).encode("utf-16"),
    "with a comment": b'{"channel": "web", /* why */ "text": "slow"}',
    "two documents": json.dumps(GIVEN).encode() * 2,
    "a surrogate in UTF-8's dress": b'{"channel": "web", "text": "\xed\xa0\xbd"}',
    "a real NUL": b'{"channel": "web", "text": "a\0b"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused(live: Live, untouched: None, body: bytes):
    assert problem(post(live, body), 400, "malformed-json")["pointer"] == ""


REFUSED: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "nothing": (b"", ""),
    "an array": (b"[]", ""),
    "null": (b"null", ""),
    "no text": (b'{"channel":"web"}', "/text"),
    "no channel": (b'{"text":"slow"}', "/channel"),
    "unknown field": ({"colour": "red"}, "/colour"),
    "unknown field with signs": ({"a/b~c": 1}, "/a~1b~0c"),
    "unknown channel": ({"channel": "pigeon"}, "/channel"),
    "unknown kind": ({"kind": "rant"}, "/kind"),
    "empty text": ({"text": ""}, "/text"),
    "blank text": ({"text": " \n\t "}, "/text"),
    "20,001 characters": ({"text": "长" * 20_001}, "/text"),
    "NUL in the text": (text('"a\\u0000b"'), "/text"),
    "NUL in the phone": ({"phone": "138\x000000"}, "/phone"),
    "NUL in a name": (b'{"channel":"web","text":"slow","a\\u0000":1}', "/a\N{REPLACEMENT CHARACTER}"),
    "high surrogate alone": (text('"\\ud83d"'), "/text"),
    "low surrogate alone": (text('"x\\udc00y"'), "/text"),
    "surrogates the wrong way round": (text('"\\udc00\\ud83d"'), "/text"),
    "a number as text": ({"text": 5}, "/text"),
    "true as text": ({"text": True}, "/text"),
    "an object as text": ({"text": {"zh": SLOW}}, "/text"),
    "null as text": ({"text": None}, "/text"),
    "a list as channel": ({"channel": ["web"]}, "/channel"),
    "a text as list": ({"attachments": "photo-1"}, "/attachments"),
    "a number in a list": ({"attachments": ["photo-1", 2]}, "/attachments/1"),
    "a name with a line break in a list": ({"attachments": ["photo-1", "a\nb"]}, "/attachments/1"),
    "21 attachments": ({"attachments": [f"photo-{n}" for n in range(21)]}, "/attachments"),
    "an address that is none": ({"email": "nobody"}, "/email"),
    "a product that nobody can see": ({"product": "\u200b"}, "/product"),
    "a terminal's sequence in a name": ({"customer": "\x1b[2J"}, "/customer"),
    "a terminal's sequence in the text": ({"text": "slow\x1b]0;x\x07"}, "/text"),
    "a name that is turned around": ({"customer": "\u202egnahZ"}, "/customer"),
    "a text that nobody can see": ({"text": "\u3164\u200b"}, "/text"),
    "201 characters of name": ({"customer": "x" * 201}, "/customer"),
    "seconds as time": ({"received_at": 1_700_000_000}, "/received_at"),
    "seconds as text": ({"received_at": "1700000000"}, "/received_at"),
    "a time without a zone": ({"received_at": "2026-01-01T08:00:00"}, "/received_at"),
    "a day without a time": ({"received_at": "2026-01-01"}, "/received_at"),
    "30 February": ({"received_at": "2026-02-30T08:00:00Z"}, "/received_at"),
    "received tomorrow": ({"received_at": in_days(1)}, "/received_at"),
    "received in 1999": ({"received_at": "1999-12-31T23:59:59Z"}, "/received_at"),
    "received in year 1": ({"received_at": "0001-01-01T00:00:00+14:00"}, "/received_at"),
    "received in year 9999": ({"received_at": "9999-12-31T23:59:59-14:00"}, "/received_at"),
    "received in year 10000": ({"received_at": "10000-01-01T00:00:00Z"}, "/received_at"),
    "broken after it was received": ({"received_at": in_days(-3), "since": in_days(-2)}, "/since"),
    "a number of 400 digits": (text("1" + "0" * 400), "/text"),
    "a number of 5,000 digits": (text("9" * 5_000), "/text"),
    "beyond 64 bits": (b'{"channel":"web","text":"slow","n":9223372036854775808}', "/n"),
    "1e999": (text("1e999"), "/text"),
    "NaN": (text("NaN"), "/text"),
    "minus infinity": (text("-Infinity"), "/text"),
    "the same name twice": (b'{"channel":"web","text":"slow","text":"fast"}', "/text"),
    "60 arrays deep": (text("[" * 60 + "]" * 60), "/text" + "/0" * 49),
    "100,000 arrays deep": (b"[" * 100_000 + b"]" * 100_000, ""),
    "60,000 objects deep": (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, ""),
}  # fmt: skip


@pytest.mark.parametrize(("change", "pointer"), REFUSED.values(), ids=REFUSED)
def test_a_complaint_that_cannot_be_is_refused_with_the_place_of_the_fault(
    live: Live, untouched: None, change: dict[str, Any] | bytes, pointer: str
):
    body = change if isinstance(change, bytes) else json.dumps(GIVEN | change).encode()
    content = problem(post(live, body), 422, "invalid")
    assert content["pointer"] == content["errors"][0]["pointer"] == pointer, content
    assert all(flaw["in"] == "body" and flaw["code"] and flaw["detail"] for flaw in content["errors"])


OTHERS = {
    "supplement without text": ("intake", "supplements", "front-end", {}, "/text"),
    "supplement of 20,001": ("intake", "supplements", "front-end", {"text": "x" * 20_001}, "/text"),
    "chase with a field of its own": ("intake", "chases", "front-end", {"loud": True}, "/loud"),
    "withdrawal for a number": ("intake", "withdrawal", "front-end", {"reason": 7}, "/reason"),
    "unknown category": ("triage", "reclassification", "agent", {"category": "x", "sub_category": "y", "reason": "z"}, "/category"),
    "another category's sub-category": (
        "triage", "reclassification", "agent", {"category": "other", "sub_category": "outage", "reason": "z"}, "/sub_category",
    ),
    "unknown department": ("triage", "routing", "agent", {"department": "moon", "queue": "x", "reason": "z"}, "/department"),
    "another department's queue": ("triage", "routing", "agent", {"department": "finance", "queue": "review", "reason": "z"}, "/queue"),
    "contact by pigeon": ("handling", "contact", "handler", {"means": "pigeon"}, "/means"),
    "contact in the year 9999": (
        "handling", "contact", "handler", {"means": "phone", "contacted_at": "9999-12-31T23:59:59Z"}, "/contacted_at",
    ),
    "progress without words": ("handling", "progress", "handler", {"note": "  "}, "/note"),
    "resolved without a cause": ("handling", "resolve", "handler", {k: v for k, v in RESOLVE.items() if k != "cause"}, "/cause"),
    "six points": ("callback", "attempts", "agent", {"reached": True, "solved": True, "satisfaction": 6}, "/satisfaction"),
    "points as text": ("callback", "attempts", "agent", {"reached": True, "solved": True, "satisfaction": "5"}, "/satisfaction"),
    "reached without an answer": ("callback", "attempts", "agent", {"reached": True}, ""),
    "not reached and satisfied": ("callback", "attempts", "agent", {"reached": False, "satisfaction": 5}, ""),
}  # fmt: skip
FOLDER = {"intake": "complaints", "triage": "complaints", "handling": "cases", "callback": "visits"}


@pytest.mark.parametrize(("service", "step", "role", "body", "pointer"), OTHERS.values(), ids=OTHERS)
def test_so_it_is_with_every_later_step(
    live: Live, untouched: None, stranger: str, service: str, step: str, role: str, body: dict[str, Any], pointer: str
):
    answer = post(live, json.dumps(body).encode(), service, f"/{FOLDER[service]}/{stranger}/{step}", role)
    assert problem(answer, 422, "invalid")["pointer"] == pointer


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/json; charset=gbk"},
        {"content_encoding": "gzip"},
        {"content_type": ""},
    ],
    ids=str,
)
def test_another_content_type_is_415(live: Live, untouched: None, headers: dict[str, str]):
    problem(post(live, json.dumps(GIVEN).encode(), **headers), 415, "unsupported-media-type")


def test_what_is_too_large_is_413_declared_or_not(live: Live, untouched: None):
    large = json.dumps(GIVEN | {"remedy": "x" * MOST}).encode()
    problem(post(live, large), 413, "too-large")

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(large), 64 * 1024):
            yield large[start : start + 64 * 1024]

    with live.http("intake") as client:
        answer = client.post("/complaints", content=chunks(), headers={"content-type": "application/json", "idempotency-key": fresh_key()})
    problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    ("key", "code"),
    [(None, "missing"), ("", "invalid"), ("k" * 201, "invalid"), ("k" * 10_000, "invalid"), (b"k\xe9", "invalid"), ("a\tb", "invalid")],
    ids=lambda value: str(value)[:12],
)
def test_an_idempotency_key_is_asked_for(live: Live, untouched: None, stranger: str, key: str | bytes | None, code: str):
    for service, role, path, body in (
        ("intake", "front-end", "/complaints", GIVEN),
        ("intake", "front-end", f"/complaints/{stranger}/chases", {}),
        ("handling", "handler", f"/cases/{stranger}/accept", {}),
    ):
        with live.http(service, role, department="technical_support") as client:
            headers = [] if key is None else [(b"idempotency-key", key.encode() if isinstance(key, str) else key)]
            answer = client.post(path, json=body, headers=headers)
        assert problem(answer, 400, f"idempotency-key-{code}")["pointer"] == "/idempotency-key"


def test_the_same_key_with_another_body_is_422(live: Live):
    key = fresh_key()
    first = ok(live.front_end.post("intake", "/complaints", GIVEN, key=key), 201)
    live.case(first["id"], "technical_support")
    live.idle()
    before = rows(live)
    problem(live.front_end.post("intake", "/complaints", GIVEN | {"customer": "Li"}, key=key), 422, "idempotency-key-reused")
    assert ok(live.front_end.post("intake", "/complaints", dict(reversed(GIVEN.items())), key=key), 201) == first
    assert rows(live) == before


def signed(live: Live, key: ECKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
    own = ECKey.import_key(json.loads(live.system.issuer.private.read_text()))
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "mallory", "roles": ["front-end", "supervisor"], "iat": now, "exp": now + 600}
    content = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode({"alg": "ES256", "kid": own.kid, "typ": "JWT"} | (header or {}), content, key or own)


def assembled(live: Live, algorithm: str, signature: Callable[[bytes], bytes]) -> str:
    """A token whose signature we make ourselves."""

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    _, claims, _ = signed(live).split(".")
    kid = json.loads(live.system.issuer.jwks.read_text())["keys"][0]["kid"]
    head = part(json.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}).encode()) + b"." + claims.encode()
    return (head + b"." + part(signature(head))).decode()


def hs256(live: Live) -> str:
    """Signed with the public key as if it were a shared secret."""
    public = live.system.issuer.jwks.read_bytes()
    return assembled(live, "HS256", lambda head: hmac.new(public, head, hashlib.sha256).digest())


TOKENS: dict[str, tuple[Callable[[Live], str | None], str]] = {
    "none": (lambda live: None, "no-token"),
    "basic": (lambda live: "Basic bWFsbG9yeTpzZWNyZXQ=", "bad-token"),
    "no JWT": (lambda live: "Bearer not-a-token", "bad-token"),
    "bad signature": (lambda live: f"Bearer {signed(live, ECKey.generate_key('P-256'))}", "bad-token"),
    "changed claims": (lambda live: "Bearer " + ".".join(changed(signed(live))), "bad-token"),
    "alg none": (lambda live: f"Bearer {assembled(live, 'none', lambda head: b'')}", "bad-token"),
    "HS256": (lambda live: f"Bearer {hs256(live)}", "bad-token"),
    "unknown key": (lambda live: f"Bearer {signed(live, ECKey.generate_key('P-256'), {'kid': 'mine'})}", "bad-token"),
    "wrong audience": (lambda live: f"Bearer {signed(live, aud='billing')}", "bad-token"),
    "wrong issuer": (lambda live: f"Bearer {signed(live, iss='https://elsewhere.example')}", "bad-token"),
    "expired": (lambda live: f"Bearer {signed(live, exp=int(time.time()) - 600)}", "expired-token"),
    "without expiry": (lambda live: f"Bearer {signed(live, exp=None)}", "bad-token"),
    "not valid yet": (lambda live: f"Bearer {signed(live, nbf=int(time.time()) + 600)}", "bad-token"),
    "roles no list": (lambda live: f"Bearer {signed(live, roles='supervisor')}", "bad-token"),
}


def changed(token: str) -> list[str]:
    head, claims, signature = token.split(".")
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return [head, base64.urlsafe_b64encode(json.dumps(content | {"roles": ["ops"]}).encode()).rstrip(b"=").decode(), signature]


@pytest.mark.parametrize(("make", "code"), TOKENS.values(), ids=TOKENS)
def test_nobody_comes_in_without_a_token_of_the_issuer(
    live: Live, untouched: None, stranger: str, make: Callable[[Live], str | None], code: str
):
    header = make(live)
    for service, method, path in (
        ("intake", "POST", "/complaints"),
        ("intake", "GET", f"/complaints/{stranger}"),
        ("triage", "GET", "/reviews"),
        ("handling", "POST", f"/cases/{stranger}/accept"),
        ("sla-monitor", "GET", "/deadlines?state=due"),
        ("callback", "GET", "/visits"),
        ("callback", "GET", "/no-such-path"),
    ):
        headers = {"idempotency-key": fresh_key()} | ({"authorization": header} if header else {})
        with live.http(service, None) as client:
            answer = client.request(method, path, headers=headers, json=GIVEN if method == "POST" else None)
        problem(answer, 401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")


WRONG_ROLES = [
    ("intake", "POST", "/complaints", "handler"),
    ("intake", "POST", "/complaints", "bi"),
    ("intake", "GET", "/pending", "front-end"),
    ("intake", "GET", "/complaints/{id}", "bi"),
    ("triage", "POST", "/complaints/{id}/reclassification", "handler"),
    ("triage", "GET", "/reviews", "front-end"),
    ("handling", "GET", "/cases/{id}", "agent"),
    ("handling", "POST", "/cases/{id}/accept", "front-end"),
    ("sla-monitor", "GET", "/complaints/{id}/clocks", "front-end"),
    ("callback", "POST", "/visits/{id}/attempts", "handler"),
    *((service, "GET", "/ops/parked", "supervisor") for service in SERVICES),
]


@pytest.mark.parametrize(("service", "method", "path", "role"), WRONG_ROLES)
def test_a_role_that_may_not_is_403(live: Live, untouched: None, stranger: str, service: str, method: str, path: str, role: str):
    with live.http(service, role) as client:
        headers = {"idempotency-key": fresh_key()}
        answer = client.request(method, path.format(id=stranger), headers=headers, json=GIVEN if method == "POST" else None)
    # Whether the body or the role is looked at first, the answer is no success; a good body shows the role.
    assert answer.status_code in (403, 422) if "reclass" in path or "attempts" in path else answer.status_code == 403, answer.text
    if answer.status_code == 403:
        problem(answer, 403, "wrong-role")


THERE = [
    ("intake", "/complaints/{id}", "agent", None),
    ("intake", "/complaints/{id}/supplements", "front-end", {"text": "More"}),
    ("intake", "/complaints/{id}/withdrawal", "front-end", {}),
    ("triage", "/complaints/{id}/classification", "agent", None),
    ("triage", "/complaints/{id}/routing", "agent", {"department": "finance", "queue": "charges", "reason": "z"}),
    ("handling", "/cases/{id}", "supervisor", None),
    ("handling", "/cases/{id}/accept", "supervisor", {}),
    ("sla-monitor", "/complaints/{id}/clocks", "agent", None),
    ("callback", "/visits/{id}", "agent", None),
    ("callback", "/visits/{id}/attempts", "agent", {"reached": False}),
]


@pytest.mark.parametrize(("service", "path", "role", "body"), THERE)
def test_what_is_not_there_is_404(live: Live, untouched: None, service: str, path: str, role: str, body: dict[str, Any] | None):
    with live.http(service, role) as client:
        for wrong, status, code in (
            (str(uuid.uuid4()), 404, "not-found"),
            ("00000000-0000-0000-0000-000000000000", 404, "not-found"),
            ("7", 422, "invalid"),
            ("..%2f..%2fetc%2fpasswd", 404, "not-found"),
            ("%00", 400, "malformed-address"),
            ("x" * 5_000, 422, "invalid"),
        ):
            url = path.format(id=wrong)
            answer = client.get(url) if body is None else client.post(url, json=body, headers={"idempotency-key": fresh_key()})
            content = problem(answer, status, code)
            if status == 422:
                assert (content["errors"][0]["in"], content["pointer"]) == ("path", "/complaint")


def test_a_foreign_complaint_is_answered_like_one_that_is_not_there(live: Live, untouched: None, stranger: str):
    handler = live.handler("finance")
    foreign, unknown = (handler.get("handling", f"/cases/{each}") for each in (stranger, uuid.uuid4()))
    assert {**problem(foreign, 404, "not-found"), "trace": ""} == {**problem(unknown, 404, "not-found"), "trace": ""}
    problem(live.api("handler").get("handling", f"/cases/{stranger}"), 404, "not-found")  # a handler of no department


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "cursor=" + "x" * 401, "cursor=%00", "limit=1e400"])
def test_a_page_that_is_none_is_refused(live: Live, untouched: None, query: str):
    for service, path, role in (("intake", "/pending", "ops"), ("handling", "/cases", "supervisor"), ("callback", "/visits", "agent")):
        with live.http(service, role) as client:
            answer = client.get(f"{path}?{query}")
        assert answer.status_code in (400, 422), answer.text
        content = problem(answer, answer.status_code, answer.json()["code"])
        assert content["errors"][0]["in"] == "query"


STEPS_NOT_READY = [
    ("handling", "contact", "handler", CONTACT, "case-not-accepted"),
    ("handling", "progress", "handler", {"note": "Found it."}, "case-not-accepted"),
    ("handling", "resolve", "handler", RESOLVE, "case-not-accepted"),
    ("handling", "transfer", "handler", {"department": "technical_support", "reason": "z"}, "same-department"),
    ("handling", "transfer", "handler", {"department": "moon", "reason": "z"}, "unknown-department"),
    ("callback", "attempts", "agent", {"reached": False}, "no-visit-due"),
]


@pytest.mark.parametrize(("service", "step", "role", "body", "code"), STEPS_NOT_READY)
def test_a_step_that_the_case_is_not_ready_for_says_which_is_missing(
    live: Live, untouched: None, stranger: str, service: str, step: str, role: str, body: dict[str, Any], code: str
):
    answer = post(live, json.dumps(body).encode(), service, f"/{FOLDER[service]}/{stranger}/{step}", role)
    assert len(problem(answer, 409, code)["detail"]) > 20


def test_of_two_who_act_on_what_they_read_one_loses(live: Live):
    complaint = live.register(CHARGED)
    live.case(complaint, "finance")
    live.idle()
    tag = live.handler("finance").get("handling", f"/cases/{complaint}").headers["etag"]
    before, start = live.journals()["handling"], Barrier(2)

    def transfer(department: str) -> httpx.Response:
        body = {"department": department, "reason": "Not ours."}
        start.wait(10)
        with live.http("handling", "handler", department="finance") as client:
            headers = {"if-match": tag, "idempotency-key": fresh_key()}
            return client.post(f"/cases/{complaint}/transfer", json=body, headers=headers)

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(transfer, ("market_legal", "customer_service")))
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    ok(won)
    assert lost.status_code in (404, 412), lost.text  # 404 once it is known that it is the other department's
    eventually(lambda: live.journals()["handling"] == before + 1, "one of them has written")

    tag = live.agent.get("intake", f"/complaints/{complaint}").headers["etag"]
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {}, headers={"if-match": tag}))
    live.idle()
    before_all = rows(live)
    for stale in (tag, '"nonsense"', "*, *", ""):
        refused = live.front_end.post("intake", f"/complaints/{complaint}/chases", {}, headers={"if-match": stale})
        assert refused.status_code in (400, 412), f"{stale!r}: {refused.text}"
    problem(live.front_end.post("intake", f"/complaints/{complaint}/chases", {}, headers={"if-match": tag}), 412, "precondition-failed")
    assert rows(live) == before_all


def test_the_log_is_whole_after_all_of_it(live: Live):
    live.verified()
