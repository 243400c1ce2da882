"""A complaint's journey with the tokens of a real Keycloak: front ends, which get theirs for themselves, people with their roles and
departments, keys that change meanwhile, and a provider that is away."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from keycloak import JWKS_MAX_AGE, Keycloak
from live import CONTACT, RESOLVE, SLOW, Live, client, eventually, fresh_key, ok, problem
from typer.testing import CliRunner

from redress_chassis.edge.problems import Problem
from redress_chassis.identity_settings import IdentitySettings
from redress_cli.main import app

SATISFIED: dict[str, Any] = {"reached": True, "solved": True, "satisfaction": 5}
GIVEN = {"channel": "app", "text": SLOW}
LONG = 90.0  # seconds in which keys have certainly been asked for, on a machine that is busy with other things


class Caller:
    """One who calls the services, with a token that they got from Keycloak once."""

    def __init__(self, live: Live, token: str) -> None:
        self._live = live
        self.token = token

    def get(self, service: str, path: str) -> httpx.Response:
        with client(self._live.system.urls[service], self._headers()) as http:
            return http.get(path)

    def post(self, service: str, path: str, body: Any = None) -> httpx.Response:
        with client(self._live.system.urls[service], self._headers() | {"idempotency-key": fresh_key()}) as http:
            return http.post(path, json=body if body is not None else {})

    def registers(self) -> str:
        complaint: str = ok(self.post("intake", "/complaints", GIVEN), 201)["id"]
        return complaint

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture
def program(live: Live, keycloak: Keycloak) -> Callable[[str], Caller]:
    """A front end with a token for itself."""
    return lambda name: Caller(live, keycloak.of_client(name, f"of-the-{name}")["access_token"])


@pytest.fixture
def person(live: Live, keycloak: Keycloak) -> Callable[[str], Caller]:
    """Somebody who signed in."""
    return lambda name: Caller(live, keycloak.of_user(name)["access_token"])


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_complaint_goes_its_way_with_the_providers_tokens(live: Live, program: Any, person: Any):
    front_end, hotline = program("app"), program("hotline")
    handler, other, supervisor, agent = (person(name) for name in ("li.wei", "wang.fang", "chen.jing", "zhou.min"))
    complaint = front_end.registers()
    assert ok(front_end.get("intake", f"/complaints/{complaint}"))["text"] == SLOW
    problem(hotline.get("intake", f"/complaints/{complaint}"), 404, "not-found")  # it is another front end's
    assert hotline.registers() != complaint

    case = f"/cases/{complaint}"
    eventually(lambda: handler.get("handling", case).status_code == 200, "the department of the handler's group has the case")
    problem(other.get("handling", case), 404, "not-found")  # whose department is an attribute
    problem(agent.get("handling", case), 403, "wrong-role")
    ok(handler.post("handling", f"{case}/accept"))
    problem(other.post("handling", f"{case}/resolve", RESOLVE), 404, "not-found")
    ok(handler.post("handling", f"{case}/contact", CONTACT))
    ok(supervisor.post("handling", f"{case}/resolve", RESOLVE))

    visit = f"/visits/{complaint}/attempts"
    eventually(lambda: supervisor.get("callback", f"/visits/{complaint}").json().get("stage") == "due", "the visit is due")
    problem(supervisor.post("callback", visit, SATISFIED), 403, "own-work")
    assert ok(agent.post("callback", visit, SATISFIED))["closed_as"] == "satisfied"
    eventually(lambda: front_end.get("intake", f"/complaints/{complaint}").json()["stage"] == "closed", "the complaint is closed")
    live.verified()


def test_what_is_no_access_token_for_us_is_refused(live: Live, keycloak: Keycloak):
    tokens = keycloak.of_user("zhou.min")
    assert Caller(live, tokens["access_token"]).get("triage", "/taxonomy").status_code == 200
    for name in ("id_token", "refresh_token"):
        problem(Caller(live, tokens[name]).get("triage", "/taxonomy"), 401, "bad-token")
    elsewhere = keycloak.of_client("elsewhere", "of-another")["access_token"]
    problem(Caller(live, elsewhere).get("triage", "/taxonomy"), 401, "bad-token")
    problem(Caller(live, live.system.issuer.mint("agent", "zhou")).get("triage", "/taxonomy"), 401, "bad-token")


def test_a_person_who_works_with_a_front_end_is_no_front_end(live: Live, keycloak: Keycloak):
    token = keycloak.of_user("zhou.min", "hotline", client_secret="of-the-hotline")["access_token"]
    assert claims_of(token)["azp"] == "hotline"
    assert Caller(live, token).get("intake", "/subscriptions").status_code == 403
    hotline = keycloak.of_client("hotline", "of-the-hotline")["access_token"]
    assert Caller(live, hotline).get("intake", "/subscriptions").status_code == 200


def test_a_token_is_explained(keycloak: Keycloak, told: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    tokens = keycloak.of_user("li.wei")
    told_of = CliRunner().invoke(app, ["token", "explain"], input=tokens["access_token"])
    sub = claims_of(tokens["access_token"])["sub"]
    assert told_of.output.splitlines()[-1] == f"Accepted: {sub}, of the department technical_support, is handler."
    refused = CliRunner().invoke(app, ["token", "explain"], input=tokens["id_token"])
    assert (refused.exit_code, "claim ID" in refused.output, "no access token" in refused.output) == (1, True, True)


def test_who_is_put_on_the_list_is_refused_within_seconds(live: Live, person: Any, denied: Path):
    agent, other = person("zhou.min"), person("chen.jing")
    assert agent.get("triage", "/reviews").status_code == 200
    denied.write_text(f"# left the company\nsub {claims_of(agent.token)['sub']}\n")
    try:
        eventually(lambda: agent.get("triage", "/reviews").status_code == 401, "they are refused")
        problem(agent.get("triage", "/reviews"), 401, "revoked-token")
        assert other.get("triage", "/reviews").status_code == 200
    finally:
        denied.write_text("")
    eventually(lambda: agent.get("triage", "/reviews").status_code == 200, "they are let in again")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("of-the-services\n")
    return file


async def test_a_token_that_keycloak_revoked_is_refused_once_it_was_asked(
    keycloak: Keycloak, told: dict[str, str], secret: Path, monkeypatch: pytest.MonkeyPatch
):
    asks = {"URL": keycloak.introspection, "CLIENT": "redress", "SECRET_FILE": str(secret), "CACHE_SECONDS": "0"}
    for name, value in (told | {f"REDRESS_INTROSPECTION_{name}": value for name, value in asks.items()}).items():
        monkeypatch.setenv(name, value)
    tokens = IdentitySettings.read().tokens()
    token = (await asyncio.to_thread(keycloak.of_user, "li.wei"))["access_token"]
    machine = (await asyncio.to_thread(keycloak.of_client, "app", "of-the-app"))["access_token"]
    assert (await tokens.caller(token)).roles == {"handler"}
    assert (await tokens.caller(machine)).roles == {"front-end"}
    await asyncio.to_thread(keycloak.revoke, token)
    with pytest.raises(Problem) as caught:
        await tokens.caller(token)
    assert (caught.value.status, caught.value.code) == (401, "revoked-token")
    secret.write_text("wrong")
    with pytest.raises(Problem) as caught:
        await tokens.caller(machine)
    assert caught.value.status == 503
    await tokens.close()


def test_keys_change_while_people_work(live: Live, keycloak: Keycloak, program: Any):
    before = program("app")
    complaints = [before.registers()]
    keycloak.rotate()
    after = program("app")
    assert claims_of(before.token)["sub"] == claims_of(after.token)["sub"]
    complaints += [before.registers(), after.registers(), before.registers()]
    # Where somebody else's token was refused a moment ago, a key is asked for two seconds later.
    eventually(lambda: after.get("triage", "/taxonomy").status_code == 200, "triage knows the new key")
    keycloak.withdraw_old_keys()
    complaints.append(program("app").registers())
    eventually(lambda: before.get("triage", "/taxonomy").status_code == 401, "the old key is withdrawn", LONG)
    problem(before.get("triage", "/taxonomy"), 401, "bad-token")
    complaints.append(after.registers())
    live.registered_once(complaints)


def test_a_provider_that_is_away_for_longer_than_its_keys_are_trusted_lets_nobody_in(live: Live, keycloak: Keycloak, program: Any):
    front_end = program("app")
    complaints = [front_end.registers()]
    keycloak.stop()
    try:
        complaints.append(front_end.registers())  # known keys go on for a while
        eventually(lambda: front_end.get("triage", "/taxonomy").status_code == 503, f"after {JWKS_MAX_AGE} s every token is refused", LONG)
        refused = front_end.get("triage", "/taxonomy")
        assert problem(refused, 503, "unavailable")["detail"].startswith("The token issuer's keys")
        assert refused.headers["retry-after"]
    finally:
        keycloak.start()
    eventually(lambda: front_end.get("triage", "/taxonomy").status_code == 200, "with its provider the same token is good again")
    eventually(lambda: front_end.get("intake", f"/complaints/{complaints[0]}").status_code == 200, "at intake too")
    live.registered_once([*complaints, front_end.registers()])
