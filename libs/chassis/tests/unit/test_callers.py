"""Whose token it is, and every kind of token that is refused."""

import base64
import hmac
import time

import httpx
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from redress_chassis.auth.callers import Caller
from redress_chassis.auth.jwks import Jwks, keys_in
from redress_chassis.auth.tokens import LEEWAY, Tokens
from redress_chassis.edge.problems import Problem

ISSUER = "https://issuer.example"


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unsigned(header, claims) -> str:
    return f"{part(orjson.dumps(header))}.{part(orjson.dumps(claims))}."


def by_shared_secret(secret: bytes, header, claims) -> str:
    content = unsigned(header, claims)[:-1]
    return f"{content}.{part(hmac.digest(secret, content.encode(), 'sha256'))}"


@pytest.fixture
def tokens(issuer, clock):
    return Tokens(Jwks(str(issuer.jwks), clock), ISSUER, "redress", clock)


async def refusal(tokens, token) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await tokens.caller(token)
    assert caught.value.status != 401 or "Bearer" in caught.value.headers["www-authenticate"]
    return caught.value.status, caught.value.code


async def test_a_token_names_its_caller(tokens, issuer):
    caller = await tokens.caller(issuer.token("handler", "supervisor", department="network"))

    assert caller == Caller("alice", frozenset({"handler", "supervisor"}), "network")


@pytest.mark.parametrize("audience", ["redress", ["other", "redress"]])
async def test_rs256_and_es256_are_accepted_for_our_audience(tokens, issuer, audience):
    for key in (issuer.key, issuer.rsa):
        assert (await tokens.caller(issuer.token("bi", key=key, aud=audience))).sub == "alice"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://other.example"}, "bad-token"),
        ({"iss": None}, "bad-token"),
        ({"aud": "other"}, "bad-token"),
        ({"aud": None}, "bad-token"),
        ({"aud": ["other"]}, "bad-token"),
        ({"exp": None}, "bad-token"),
        ({"exp": "soon"}, "bad-token"),
        ({"exp": True}, "bad-token"),
        ({"exp": 10**30}, "bad-token"),
        ({"exp": int(time.time()) - LEEWAY - 1}, "expired-token"),
        ({"exp": 0}, "expired-token"),
        ({"nbf": int(time.time()) + 86_400}, "bad-token"),
        ({"iat": int(time.time()) + 86_400}, "bad-token"),
        ({"nbf": "now"}, "bad-token"),
        ({"sub": None}, "bad-token"),
        ({"sub": ""}, "bad-token"),
        ({"sub": "a\0b"}, "bad-token"),
        ({"sub": "x" * 201}, "bad-token"),
        ({"roles": "ops"}, "bad-token"),
        ({"roles": [7]}, "bad-token"),
        ({"department": ["x"]}, "bad-token"),
    ],
)
async def test_claims_that_are_wrong_are_refused(tokens, issuer, claims, code):
    assert await refusal(tokens, issuer.token("ops", **claims)) == (401, code)


@pytest.mark.parametrize("payload", [b'{"sub": "\\ud800"}', b"[]", b"{", b"\xff", b"[" * 5000, b'{"exp": ' + b"9" * 6000 + b"}"])
async def test_a_signed_payload_that_is_no_claims_is_refused(tokens, issuer, payload):
    if payload.startswith(b'{"sub"'):
        payload = orjson.dumps(issuer.claims("ops", sub="SUB")).replace(b"SUB", b"\\ud800")
    token = jws.serialize_compact({"alg": "ES256", "kid": "k1"}, payload, issuer.key)

    assert await refusal(tokens, token) == (401, "bad-token")


async def test_clocks_may_differ_by_a_minute(tokens, issuer):
    now = int(time.time())
    await tokens.caller(issuer.token("ops", exp=now - 30))
    await tokens.caller(issuer.token("ops", nbf=now + 30, iat=now + 30))


async def test_signatures_are_not_taken_on_trust(tokens, issuer):
    claims = issuer.claims("ops")
    good = issuer.token("ops")
    public = orjson.dumps(issuer.key.as_dict(private=False))
    forged = [
        unsigned({"alg": "none"}, claims),
        unsigned({"alg": "none", "kid": "k1"}, claims),
        unsigned({"alg": "ES256", "kid": "k1"}, claims),
        by_shared_secret(public, {"alg": "HS256", "kid": "k1"}, claims),
        by_shared_secret(issuer.rsa.as_pem(private=False), {"alg": "HS256", "kid": "r1"}, claims),
        issuer.token("ops", key=ECKey.generate_key("P-256", parameters={"kid": "k1"})),
        issuer.token("ops", key=RSAKey.generate_key(2048, parameters={"kid": "r1"})),
        issuer.token("ops", key=issuer.rsa, header={"kid": "k1"}),
        good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        good.rpartition(".")[0] + ".",
        good + ".x",
        unsigned({"alg": "ES256", "kid": ["k1"]}, claims),
        unsigned(["ES256"], claims),
        "x",
        "..",
        "a.b.c",
    ]
    for token in forged:
        assert await refusal(tokens, token) == (401, "bad-token"), token


async def test_a_verified_token_is_remembered_until_it_expires(tokens, issuer, clock):
    token = issuer.token("ops", exp=int(clock.now) + 100)
    await tokens.caller(token)
    issuer.folder.joinpath("jwks.json").unlink()

    assert (await tokens.caller(token)).sub == "alice"
    clock.now += 100 + LEEWAY + 1
    assert await refusal(tokens, token) == (401, "expired-token")


async def test_a_withdrawn_key_is_trusted_no_longer_than_ten_minutes(tokens, issuer, clock):
    token = issuer.token("ops", exp=int(clock.now) + 7200)
    await tokens.caller(token)
    issuer.key = ECKey.generate_key("P-256", parameters={"kid": "k2", "alg": "ES256"})
    assert issuer.jwks

    clock.now += 601
    assert await refusal(tokens, token) == (401, "bad-token")


async def test_without_the_issuers_keys_nobody_is_turned_away_as_a_liar(clock, tmp_path, issuer):
    tokens = Tokens(Jwks(str(tmp_path / "missing.json"), clock), ISSUER, "redress", clock)

    assert await refusal(tokens, issuer.token("ops")) == (503, "unavailable")
    (tmp_path / "missing.json").write_bytes(issuer.jwks.read_bytes())
    clock.now += 3
    assert (await tokens.caller(issuer.token("ops"))).sub == "alice"


async def test_keys_come_over_http_too(monkeypatch, issuer, clock):
    metadata = []

    def answer(request: httpx.Request) -> httpx.Response:
        metadata.append(str(request.url))
        return httpx.Response(200, content=issuer.jwks.read_bytes())

    real = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **more: real(transport=httpx.MockTransport(answer), **more))
    tokens = Tokens(Jwks("https://issuer.example/jwks", clock), ISSUER, "redress", clock)

    for _ in range(3):
        await tokens.caller(issuer.token("ops", jti=str(len(metadata))))
    assert metadata == ["https://issuer.example/jwks"]


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_keys_that_are_too_weak_or_for_something_else_are_passed_over(issuer):
    weak = RSAKey.generate_key(1024, parameters={"kid": "weak"}).as_dict(private=False)
    curve = ECKey.generate_key("P-384", parameters={"kid": "curve"}).as_dict(private=False)
    sealing = {**issuer.key.as_dict(private=False), "use": "enc"}
    secret = {"kty": "oct", "k": "AAAA", "kid": "secret"}
    good = issuer.key.as_dict(private=False)

    found = keys_in(orjson.dumps({"keys": [weak, curve, sealing, secret, {"kty": "EC"}, "x", good]}))

    assert [(algorithm, kid) for algorithm, kid, _ in found] == [("ES256", "k1")]


@pytest.mark.parametrize(
    ("header", "code"),
    [(None, "no-token"), ("", "bad-token"), ("Basic YTpi", "bad-token"), ("Bearer", "bad-token"), ("Bearer x", "bad-token")],
)
async def test_a_call_without_a_usable_token_learns_how_to_ask(client, header, code):
    answer = await client.get("/notes", headers={} if header is None else {"authorization": header})

    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="redress"')


async def test_without_a_token_not_even_the_body_is_read(client):
    answer = await client.post("/notes", content=b"{", headers={"content-type": "text/plain"})

    assert answer.status_code == 401


async def test_an_unknown_path_is_not_told_apart_without_a_token(client):
    assert (await client.get("/nowhere")).status_code == 401


async def test_the_wrong_role_is_told_which_ones_may(client, issuer):
    answer = await client.post("/notes", json={"title": "a", "text": "b"}, headers={"authorization": f"Bearer {issuer.token('bi')}"})

    assert (answer.status_code, answer.json()["code"]) == (403, "wrong-role")
    assert "front-end, agent" in answer.json()["detail"]
