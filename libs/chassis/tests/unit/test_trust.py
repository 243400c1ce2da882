"""How long a token and its key are trusted, which tokens are no access tokens, and how one is revoked."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from joserfc.jwk import ECKey

from redress_chassis.auth.jwks import Jwks
from redress_chassis.auth.revocation import DenyList, Introspection, denied_in
from redress_chassis.auth.tokens import LEEWAY, TokenRules, Tokens
from redress_chassis.edge.problems import Problem
from redress_chassis.operations.metrics import Metrics

ISSUER = "https://issuer.example"
GOOD = (200, "")
UNAVAILABLE = (503, "unavailable")
BAD, EXPIRED, REVOKED = (401, "bad-token"), (401, "expired-token"), (401, "revoked-token")


@pytest.fixture
def source(issuer: Any) -> Path:
    path: Path = issuer.jwks
    return path


def tokens_of(source: object, clock: Any, max_age: float = 3600.0, **how: Any) -> Tokens:
    return Tokens(Jwks(str(source), clock, max_age), ISSUER, "redress", clock, **how)


async def answer(tokens: Tokens, token: str) -> tuple[int, str]:
    try:
        await tokens.caller(token)
    except Problem as problem:
        return problem.status, problem.code
    return GOOD


def rotate(issuer: Any, kid: str) -> None:
    issuer.key = ECKey.generate_key("P-256", parameters={"kid": kid, "alg": "ES256"})
    assert issuer.jwks


# -- keys


async def test_a_new_key_is_known_at_once(issuer: Any, clock: Any, source: Path):
    tokens = tokens_of(source, clock)
    assert await answer(tokens, issuer.token("ops")) == GOOD
    rotate(issuer, "k2")
    assert await answer(tokens, issuer.token("ops")) == GOOD


async def test_made_up_keys_do_not_make_us_hammer_the_issuer(issuer: Any, clock: Any, source: Path):
    tokens = tokens_of(source, clock)
    assert await answer(tokens, issuer.token("ops")) == GOOD
    assert await answer(tokens, issuer.token("ops", header={"kid": "made-up"})) == BAD
    rotate(issuer, "k2")
    assert await answer(tokens, issuer.token("ops")) == BAD
    clock.now += 2
    assert await answer(tokens, issuer.token("ops")) == GOOD


@pytest.mark.parametrize("content", [b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
async def test_an_issuer_that_withdraws_all_its_keys_is_believed(issuer: Any, clock: Any, source: Path, content: bytes):
    tokens, token = tokens_of(source, clock), issuer.token("ops", exp=int(clock.now) + 7200)
    assert await answer(tokens, token) == GOOD
    source.write_bytes(content)
    clock.now += 601
    assert await answer(tokens, token) == BAD


@pytest.mark.parametrize("harm", ["away", "nonsense"])
async def test_keys_outlive_an_issuer_that_is_away_for_a_while_and_no_longer(issuer: Any, clock: Any, source: Path, harm: str):
    tokens = tokens_of(source, clock, max_age=3600)
    metrics = Metrics()
    metrics.issuer(tokens.issuer_away)
    remembered, later = (issuer.token("ops", exp=int(clock.now) + 9000, jti=jti) for jti in ("remembered", "later"))
    assert await answer(tokens, remembered) == GOOD
    keys = source.read_bytes()
    source.write_text("<html>") if harm == "nonsense" else source.unlink()
    for _ in range(5):
        clock.now += 700
        await asyncio.sleep(0)
        assert await answer(tokens, remembered) == await answer(tokens, later) == GOOD
    assert metrics.registry.get_sample_value("redress_issuer_away_seconds") == 3500
    clock.now += 101
    assert await answer(tokens, remembered) == await answer(tokens, later) == UNAVAILABLE
    source.write_bytes(keys)
    clock.now += 3
    assert await answer(tokens, remembered) == await answer(tokens, later) == GOOD
    assert metrics.registry.get_sample_value("redress_issuer_away_seconds") == 0


async def test_a_remembered_token_ends_with_its_key(issuer: Any, clock: Any, source: Path):
    tokens, token = tokens_of(source, clock), issuer.token("ops", exp=int(clock.now) + 7200)
    assert await answer(tokens, token) == GOOD
    rotate(issuer, "k2")
    assert await answer(tokens, issuer.token("ops")) == GOOD  # so that the keys are asked for
    assert await answer(tokens, token) == BAD


async def test_a_token_is_remembered_for_so_long_and_then_checked_anew(issuer: Any, clock: Any, source: Path, monkeypatch: Any):
    checked = []
    real = Tokens._check

    def check(self: Tokens, claims: dict[str, Any], now: float) -> float:
        checked.append(now)
        return real(self, claims, now)

    monkeypatch.setattr(Tokens, "_check", check)
    tokens, token = tokens_of(source, clock, rules=TokenRules(remembered=100)), issuer.token("ops")
    for seconds in (0, 99, 2, 90):
        clock.now += seconds
        assert await answer(tokens, token) == GOOD
    assert len(checked) == 2


# -- kinds and lifetimes


@pytest.mark.parametrize(("seconds", "said"), [(86_400, GOOD), (86_400 + LEEWAY + 2, BAD), (1000 * 86_400, BAD)])
async def test_no_token_may_live_for_ever(issuer: Any, clock: Any, source: Path, seconds: int, said: Any):
    assert await answer(tokens_of(source, clock), issuer.token("ops", exp=int(clock.now) + seconds)) == said


async def test_milliseconds_are_no_seconds(issuer: Any, clock: Any, source: Path):
    assert await answer(tokens_of(source, clock), issuer.token("ops", exp=int(clock.now * 1000))) == BAD


@pytest.mark.parametrize(
    ("header", "claims", "said"),
    [
        ({"typ": "at+jwt"}, {}, GOOD),
        ({"typ": "application/at+JWT"}, {}, GOOD),
        ({"typ": None}, {}, GOOD),
        ({}, {"typ": "Bearer"}, GOOD),
        ({"typ": "logout+jwt"}, {}, BAD),
        ({"typ": "dpop+jwt"}, {}, BAD),
        ({}, {"typ": "ID"}, BAD),
        ({}, {"typ": "Refresh"}, BAD),
        ({}, {"typ": "DPoP"}, BAD),
        ({}, {"typ": ["Bearer"]}, BAD),
        ({}, {"nonce": "n"}, BAD),
        ({}, {"at_hash": "h"}, BAD),
    ],
)
async def test_only_access_tokens_open_the_door(issuer: Any, clock: Any, source: Path, header: Any, claims: Any, said: Any):
    assert await answer(tokens_of(source, clock), issuer.token("ops", header=header, **claims)) == said


async def test_the_type_of_access_tokens_may_be_asked_for(issuer: Any, clock: Any, source: Path):
    tokens = tokens_of(source, clock, rules=TokenRules(types=frozenset({"at+jwt"})))
    assert await answer(tokens, issuer.token("ops")) == BAD
    assert await answer(tokens, issuer.token("ops", header={"typ": "at+jwt"})) == GOOD


# -- revocation


@pytest.mark.parametrize("line", ["jti t1", "sub alice", "client app", "# by hand\n\n  sub   alice  "])
async def test_who_is_put_on_the_list_is_refused_though_they_are_remembered(
    issuer: Any, clock: Any, source: Path, tmp_path: Path, line: str
):
    file = tmp_path / "denied"
    file.write_text("sub mallory\n")
    tokens = tokens_of(source, clock, denied=DenyList(file, clock))
    token = issuer.token("ops", jti="t1", azp="app")
    assert await answer(tokens, token) == GOOD
    file.write_text(line)
    assert await answer(tokens, token) == GOOD, "the list is looked at once a second"
    clock.now += 1
    assert await answer(tokens, token) == REVOKED
    file.write_text("")
    clock.now += 1
    assert await answer(tokens, token) == GOOD


@pytest.mark.parametrize("harm", ["gone", "nonsense"])
async def test_a_list_that_cannot_be_read_leaves_the_last_one_in_force(issuer: Any, clock: Any, source: Path, tmp_path: Path, harm: str):
    file = tmp_path / "denied"
    file.write_text("sub alice\n")
    tokens = tokens_of(source, clock, denied=DenyList(file, clock))
    file.write_text("alice\n") if harm == "nonsense" else file.unlink()
    clock.now += 2
    assert await answer(tokens, issuer.token("ops")) == REVOKED
    assert await answer(tokens, issuer.token("ops", sub="bob")) == GOOD


@pytest.mark.parametrize("text", ["alice", "sub", "sub ", "subject alice", "\n\nuser 7"])
def test_a_line_that_says_nothing_is_named(text: str):
    with pytest.raises(ValueError, match=f"Line {text.count(chr(10)) + 1} "):
        denied_in(text)


class Issuer7662:
    """Stands in for the issuer's side of the line."""

    def __init__(self, monkeypatch: Any) -> None:
        self.active: Any = True
        self.status = 200
        self.asked: list[httpx.Request] = []
        real = httpx.AsyncClient
        monkeypatch.setattr(httpx, "AsyncClient", lambda **more: real(transport=httpx.MockTransport(self.answer), **more))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self.status == 0:
            raise httpx.ConnectError("away")
        return httpx.Response(self.status, content=orjson.dumps({"active": self.active}))


@pytest.fixture
def asked(monkeypatch: Any) -> Issuer7662:
    return Issuer7662(monkeypatch)


@pytest.fixture
def introspected(source: Path, clock: Any, tmp_path: Path) -> Tokens:
    secret = tmp_path / "secret"
    secret.write_text("s p\n")
    return tokens_of(source, clock, introspection=Introspection("https://issuer.example/ask", "redress", secret, 30, clock))


async def test_the_issuer_is_asked_and_its_answer_kept_for_a_while(introspected: Tokens, asked: Issuer7662, issuer: Any, clock: Any):
    token = issuer.token("ops")
    assert set(await asyncio.gather(*(answer(introspected, token) for _ in range(5)))) == {GOOD}
    (request,) = asked.asked
    assert request.headers["authorization"] == "Basic cmVkcmVzczpzK3A="  # redress:s+p
    assert request.content == f"token={token}&token_type_hint=access_token".encode()
    asked.active = False
    assert await answer(introspected, token) == GOOD
    clock.now += 30
    assert await answer(introspected, token) == REVOKED
    await introspected.close()


@pytest.mark.parametrize(("status", "active"), [(0, True), (401, True), (500, True), (302, True), (200, "yes"), (200, None)])
async def test_without_an_answer_nobody_is_let_in(
    introspected: Tokens, asked: Issuer7662, issuer: Any, clock: Any, status: int, active: Any
):
    token = issuer.token("ops")
    asked.status, asked.active = status, active
    assert await answer(introspected, token) == UNAVAILABLE
    asked.status, asked.active = 200, True
    assert await answer(introspected, token) == GOOD
    asked.status, asked.active = status, active
    clock.now += 31
    assert await answer(introspected, token) == UNAVAILABLE


async def test_what_is_refused_here_is_not_asked_for(introspected: Tokens, asked: Issuer7662, issuer: Any, clock: Any):
    assert await answer(introspected, issuer.token("ops", exp=int(clock.now) - LEEWAY - 40)) == EXPIRED
    assert await answer(introspected, issuer.token("ops", aud="other")) == BAD
    assert asked.asked == []


def test_a_list_may_be_changed_within_a_second(tmp_path: Path, clock: Any):
    """The same size and, on a coarse file system, the same time: it is another file."""
    file, other = tmp_path / "denied", tmp_path / "other"
    file.write_text("sub alice\n")
    denied = DenyList(file, clock)
    before = denied._now_stamp()
    other.write_text("sub bobby\n")
    os.utime(other, ns=(before[1], before[1]))
    other.replace(file)
    assert denied._now_stamp() != before
