"""What the settings of an installation say of tokens and duties, and what is said of those that cannot be used."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from redress_chassis import Caller
from redress_chassis.auth.permissions import Duties
from redress_chassis.environment import BadSettings
from redress_chassis.identity_settings import IdentitySettings, pairs_in

NEEDED = {"REDRESS_JWKS": "https://issuer.example/jwks", "REDRESS_ISSUER": "https://issuer.example"}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(**variables: str) -> IdentitySettings:
        for name, value in (NEEDED | {f"REDRESS_{name}": value for name, value in variables.items()}).items():
            monkeypatch.setenv(name, value)
        return IdentitySettings.read()

    return read


def test_a_preset_is_taken_but_for_what_is_set(told: Any):
    settings = told(
        IDENTITY_PROVIDER="Keycloak",
        DEPARTMENT_CLAIM="org.unit",
        SUBJECT_CLAIM="uid, sub",
        ROLE_NAMES="case worker=handler; CN=leads,OU=x=supervisor\ncase worker=agent;",
        CLIENT_ROLES="hotline=front-end",
        DEPARTMENT_GROUPS="/finance=finance",
        MACHINE_MARK="gty=client-credentials",
    )
    reader = settings.reader()
    claims = {"sub": "a", "realm_access": {"roles": ["case worker", "CN=leads,OU=x"]}, "org": {"unit": "network"}}
    assert reader.read(claims).caller == Caller("a", frozenset({"handler", "agent", "supervisor"}), "network")
    machine = {"sub": "b", "azp": "hotline", "gty": "client-credentials", "groups": ["/finance"]}
    assert reader.read(machine).caller == Caller("b", frozenset({"front-end"}), "finance")


def test_the_default_asks_nothing_new(told: Any):
    settings = told()
    assert settings.reader().read({"sub": "a", "roles": ["handler"], "department": "x"}).caller == Caller("a", frozenset({"handler"}), "x")
    assert settings.duties() == Duties(front_ends="own", agents_by_area=False, four_eyes=True, ended_kept=timedelta(days=365))
    assert settings.tokens()._denied is settings.tokens()._introspection is None


def test_duties_are_settings(told: Any):
    duties = told(FRONT_ENDS_REACH="anything", AGENTS_REACH="Area", FOUR_EYES="false", CLOSED_READABLE_DAYS="30").duties()
    assert duties == Duties(front_ends="anything", agents_by_area=True, four_eyes=False, ended_kept=timedelta(days=30))


def test_channels_and_areas_are_read_where_they_tell_callers_apart(told: Any):
    settings = told(
        FRONT_ENDS_REACH="channel",
        CLIENT_CHANNELS="portal=web; portal=app",
        AGENTS_REACH="area",
        AREAS_CLAIM="org.areas",
        AREA_GROUPS="/teams/east=浦东; /teams/east= North  Side ",
    )
    claims = {"sub": "a", "azp": "portal", "roles": ["agent"], "groups": ["/teams/east"], "org": {"areas": ["Ｘ1"]}}
    caller = settings.reader().read(claims).caller
    assert (caller.channels, caller.areas) == ({"web", "app"}, {"浦东", "north side", "x1"})


def test_lists_and_questions_are_made_of_their_settings(told: Any, tmp_path: Path):
    (tmp_path / "denied").write_text("sub mallory\n")
    (tmp_path / "secret").write_text("s")
    tokens = told(
        DENY_FILE=str(tmp_path / "denied"),
        INTROSPECTION_URL="https://issuer.example/ask",
        INTROSPECTION_CLIENT="redress",
        INTROSPECTION_SECRET_FILE=str(tmp_path / "secret"),
        TOKEN_TYPES="at+jwt",
        TOKEN_MAX_LIFETIME_SECONDS="600",
        TOKEN_REMEMBERED_SECONDS="60",
    ).tokens()
    assert tokens._denied is not None
    assert tokens._introspection is not None
    assert (tokens._rules.longest, tokens._rules.remembered, tokens._rules.types) == (600, 60, {"at+jwt"})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"IDENTITY_PROVIDER": "ldap"}, "REDRESS_IDENTITY_PROVIDER: "),
        ({"ROLES_CLAIM": 'ro"les'}, "REDRESS_ROLES_CLAIM: .*ASCII"),
        ({"MACHINE_MARK": "gty"}, "REDRESS_MACHINE_MARK: .*claim=value"),
        ({"ROLE_NAMES": "lead=boss"}, "REDRESS_ROLE_NAMES: .*no role boss"),
        ({"CLIENT_ROLES": "hotline"}, "REDRESS_CLIENT_ROLES: .*theirs=ours"),
        ({"DEPARTMENT_GROUPS": "/a=x; /a=y"}, "REDRESS_DEPARTMENT_GROUPS: .*one department"),
        ({"AGENTS_REACH": "team"}, "REDRESS_AGENTS_REACH: "),
        ({"FRONT_ENDS_REACH": "channel", "CLIENT_CHANNELS": "a=pigeon"}, "REDRESS_CLIENT_CHANNELS: .*no channel pigeon"),
        ({"CLIENT_CHANNELS": "a=web"}, "REDRESS_CLIENT_CHANNELS: .*REDRESS_FRONT_ENDS_REACH=channel alone"),
        ({"CHANNELS_CLAIM": "ways"}, "REDRESS_CHANNELS_CLAIM: .*REDRESS_FRONT_ENDS_REACH=channel alone"),
        ({"AREA_GROUPS": "/east=pudong"}, "REDRESS_AREA_GROUPS: .*REDRESS_AGENTS_REACH=area alone"),
        ({"TOKEN_TYPES": "JWT,id+jwt"}, r"REDRESS_TOKEN_TYPES: .*at\+jwt"),
        ({"TOKEN_MAX_LIFETIME_SECONDS": "0"}, "REDRESS_TOKEN_MAX_LIFETIME_SECONDS: "),
        ({"DENY_FILE": "/nowhere/denied"}, "REDRESS_DENY_FILE: .*cannot be read"),
        ({"INTROSPECTION_URL": "issuer.example"}, "REDRESS_INTROSPECTION_URL: .*https://"),
        ({"INTROSPECTION_URL": "https://issuer.example/ask"}, "REDRESS_INTROSPECTION_SECRET_FILE: .*together"),
        ({"INTROSPECTION_CLIENT": "redress"}, "REDRESS_INTROSPECTION_CLIENT: .*together"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_value(told: Any, variables: dict[str, str], said: str):
    with pytest.raises(BadSettings, match=said):
        told(**variables)


def test_a_list_that_says_nothing_is_refused_at_the_start(told: Any, tmp_path: Path):
    (tmp_path / "denied").write_text("mallory\n")
    with pytest.raises(BadSettings, match=r"REDRESS_DENY_FILE: .*Line 1 is none of"):
        told(DENY_FILE=str(tmp_path / "denied"))


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=b; =c"])
def test_half_a_pair_is_none(text: str):
    with pytest.raises(ValueError, match="theirs=ours"):
        pairs_in(text)
