"""`redress token explain`: how a token is read and why it is refused, without the token."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_local.issuer import Issuer

ISSUER = "https://id.example/realms/care"
KEYCLOAK = {
    "REDRESS_ISSUER": ISSUER,
    "REDRESS_IDENTITY_PROVIDER": "keycloak",
    "REDRESS_ROLE_NAMES": "case-worker=handler",
    "REDRESS_DEPARTMENT_GROUPS": "/departments/finance=finance",
    "REDRESS_CLIENT_ROLES": "hotline=front-end",
}


class Provider:
    """A provider with one key, and its tokens for one user."""

    def __init__(self, folder: Path) -> None:
        self.key = ECKey.generate_key("P-256", parameters={"kid": "k1", "alg": "ES256"})
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))

    def token(self, key: ECKey | None = None, **other: Any) -> str:
        now = int(time.time())
        usual = {"iss": ISSUER, "aud": "redress", "sub": "6f0c", "azp": "desk", "iat": now, "exp": now + 600, "typ": "Bearer"}
        usual |= {"realm_access": {"roles": ["case-worker", "offline_access"]}, "groups": ["/departments/finance"]}
        claims = {name: value for name, value in (usual | other).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "k1"}, claims, key or self.key)


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Provider:
    made = Provider(tmp_path)
    for name, value in (KEYCLOAK | {"REDRESS_JWKS": str(made.jwks)}).items():
        monkeypatch.setenv(name, value)
    return made


SECONDS = re.compile(r"\d+ (days|hours|minutes|seconds)")  # since it was signed, and until it ends


def explain(token: str, *words: str) -> Result:
    result = CliRunner().invoke(app, ["token", "explain", *words], input=None if words else token)
    assert token[:20] not in result.output
    assert token.rpartition(".")[2] not in result.output
    return result


def test_a_good_token_is_told_as_the_services_read_it(provider: Provider, tmp_path: Path):
    token = provider.token()
    (tmp_path / "token").write_text(f"Bearer {token}\n")
    by_input = explain(token)
    assert by_input.exit_code == 0, by_input.output
    by_file, by_argument = (explain(token, *words).output for words in (["--file", str(tmp_path / "token")], [token]))
    assert SECONDS.sub("", by_file) == SECONDS.sub("", by_argument) == SECONDS.sub("", by_input.output)
    lines = dict(line.split("  ", 1) for line in by_input.output.splitlines()[:-1])
    said = {what: text.strip() for what, text in lines.items()}
    assert said["issuer"] == f"{ISSUER}, as REDRESS_ISSUER has it"
    assert said["id"] == "sub: 6f0c"
    assert said["its roles"] == "realm_access.roles and resource_access.redress.roles: case-worker, offline_access"
    assert said["passed over"] == "offline_access: not in REDRESS_ROLE_NAMES"
    assert (said["our roles"], said["department"]) == ("handler", "finance")
    assert by_input.output.splitlines()[-1] == "Accepted: 6f0c, of the department finance, is handler."


def test_a_client_is_told_from_a_person_who_works_with_it(provider: Provider):
    machine = explain(provider.token(azp="hotline", client_id="hotline", realm_access=None))
    assert (machine.exit_code, "front-end" in machine.output.splitlines()[-1]) == (0, True)
    person = explain(provider.token(azp="hotline"))
    assert "not front-end: a person works with it, for the token lacks client_id=hotline" in person.output


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://id.example"}, [f"https://id.example, and not REDRESS_ISSUER, which is {ISSUER}", "Refused: 401 bad-token."]),
        ({"aud": ["account"]}, ["account, and not REDRESS_AUDIENCE, which is redress", "Refused: 401 bad-token."]),
        ({"exp": int(time.time()) - 7200}, ["2 hours ago", "Refused: 401 expired-token. The token has expired."]),
        ({"exp": None}, ["never", "Refused: 401 bad-token."]),
        ({"exp": int(time.time() * 1000)}, ["is valid for too long"]),
        ({"typ": "ID"}, ["claim ID", "Refused: 401 bad-token. The token is not an access token"]),
        ({"sub": None}, ["none in sub", "the claim sub is missing or not a name"]),
        ({"realm_access": {"roles": ["boss"]}}, ["our roles", "none", "Accepted, but 6f0c may do nothing: no role of ours."]),
        ({"realm_access": {"roles": "boss"}}, ["the claim realm_access.roles is not a list of names"]),
        ({"groups": None}, ["none in department", "of no department"]),
        ({"groups": None, "_claim_names": {"groups": "src1"}}, ["left out of the token, for there are too many"]),
        ({"sub": "x\x1b[2J\x1b]0;y\x07"}, ["sub: x\\u001b[2J"]),
        ({"iss": "i" * 5000}, ["iii …"]),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_too(provider: Provider, claims: dict[str, Any], said: list[str]):
    result = explain(provider.token(**claims))
    assert [each for each in said if each not in result.output] == [], result.output
    assert result.exit_code == (0 if "Accepted" in result.output else 1)
    assert not set(result.output) & {"\x1b", "\x07"}


def test_a_forged_token_is_read_and_refused(provider: Provider):
    result = explain(provider.token(ECKey.generate_key("P-256")))
    assert result.exit_code == 1
    assert "Refused: 401 bad-token. The token's signature is wrong." in result.output
    assert "sub: 6f0c" in result.output


@pytest.mark.parametrize("token", ["hello-this-is-my-password", "a.b.c", "x" * 9000])
def test_what_is_no_token_is_not_repeated(provider: Provider, token: str):
    result = explain(token)
    assert (result.exit_code, result.output) == (1, "Refused: 401 bad-token. The Authorization header holds no JSON Web Token.\n")


def test_what_no_token_has_is_refused_before_it_is_read(provider: Provider):
    result = CliRunner().invoke(app, ["token", "explain"], input=b"\xe9\xff")
    assert (result.exit_code, "That is not a token" in result.output) == (1, True)


def test_without_the_keys_it_is_not_judged(provider: Provider):
    provider.jwks.unlink()
    result = explain(provider.token())
    assert result.exit_code == 1
    assert "Not judged: 503 unavailable." in result.output
    assert "our roles" in result.output


def test_settings_that_are_wrong_are_named(provider: Provider, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDRESS_ROLE_NAMES", "lead=boss")
    monkeypatch.delenv("REDRESS_JWKS")
    result = explain(provider.token())
    assert result.exit_code == 1
    assert "REDRESS_JWKS: " in result.output
    assert "REDRESS_ROLE_NAMES: " in result.output


def test_without_settings_it_is_the_local_stacks(tmp_path: Path):
    token = Issuer(tmp_path / "keys").mint("handler", "li.wei", department="network")
    result = CliRunner().invoke(app, ["token", "explain", "--folder", str(tmp_path)], input=token)
    assert result.output.splitlines()[-1] == "Accepted: li.wei, of the department network, is handler."
    again = CliRunner().invoke(app, ["token", "--role", "ops", "--folder", str(tmp_path)])
    assert CliRunner().invoke(app, ["token", "explain", "--folder", str(tmp_path)], input=again.output).exit_code == 0


def test_a_role_is_asked_for():
    result = CliRunner().invoke(app, ["token"])
    assert (result.exit_code, "Name a role" in result.output) == (1, True)


def test_channels_and_areas_are_told_where_callers_are_told_apart_by_them(provider: Provider, monkeypatch: pytest.MonkeyPatch):
    assert "areas" not in explain(provider.token(areas=["x"])).output
    for name, value in {
        "FRONT_ENDS_REACH": "channel",
        "CLIENT_CHANNELS": "desk=shop",
        "AGENTS_REACH": "area",
        "AREA_GROUPS": "/departments/finance=North",
    }.items():
        monkeypatch.setenv(f"REDRESS_{name}", value)
    output = explain(provider.token(area="South")).output
    lines = [line.split(maxsplit=1) for line in output.splitlines()]
    assert ["channels", "shop"] in lines and ["areas", "north, south"] in lines
    assert output.splitlines()[-1] == (
        "Accepted: 6f0c, of the department finance, with the channels shop, with the areas north, south, is handler."
    )
    nothing = explain(provider.token(azp=None, groups=None)).output
    assert "none in channels: what it registers is refused" in nothing
    assert "none in areas and area: an agent reaches what is in no area alone" in nothing
