"""How tokens of each provider are read: whose they are, in which roles, of which department."""

from __future__ import annotations

from typing import Any

import pytest

from redress_chassis import Caller
from redress_chassis.auth.layouts import PRESETS, ClaimReader, Layout, Provider, TokenReading, found_in

KEYCLOAK = {
    "sub": "6f0c",
    "azp": "desk",
    "realm_access": {"roles": ["handler", "offline_access"]},
    "resource_access": {"redress": {"roles": ["supervisor"]}, "account": {"roles": ["ops"]}},
    "department": "finance",
    "jti": "t1",
}
KEYCLOAK_MACHINE = {"sub": "77aa", "azp": "hotline", "client_id": "hotline", "realm_access": {"roles": ["front-end"]}}
ENTRA = {"sub": "pairwise", "oid": "0a1b", "azp": "9c", "roles": ["supervisor"], "idtyp": "user"}
OKTA = {"sub": "ann@example.com", "uid": "00u1", "cid": "0oa1", "groups": ["Everyone", "agent"]}
AUTH0 = {"sub": "auth0|1", "azp": "app", "redress/roles": ["agent"], "redress/department": "network", "permissions": ["bi", "read:x"]}


def read(provider: Provider, claims: dict[str, Any], **how: Any) -> TokenReading:
    return ClaimReader(PRESETS[provider], "redress", **how).read(claims)


def roles(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("provider", "claims", "caller", "client", "machine"),
    [
        (
            "default",
            {"sub": "alice", "roles": ["handler"], "department": "network"},
            Caller("alice", roles("handler"), "network"),
            None,
            False,
        ),
        ("default", {"sub": "app", "client_id": "app", "roles": ["front-end"]}, Caller("app", roles("front-end")), "app", True),
        ("keycloak", KEYCLOAK, Caller("6f0c", roles("handler", "supervisor"), "finance"), "desk", False),
        ("keycloak", KEYCLOAK_MACHINE, Caller("77aa", roles("front-end")), "hotline", True),
        ("entra", ENTRA, Caller("0a1b", roles("supervisor")), "9c", False),
        ("entra", {"oid": "sp", "appid": "old", "idtyp": "app", "roles": []}, Caller("sp", roles()), "old", True),
        ("okta", OKTA, Caller("00u1", roles("agent")), "0oa1", False),
        ("okta", {"sub": "0oa1", "cid": "0oa1"}, Caller("0oa1", roles()), "0oa1", True),
        ("auth0", AUTH0, Caller("auth0|1", roles("agent", "bi"), "network"), "app", False),
        ("auth0", {"sub": "m@clients", "azp": "m", "gty": "client-credentials"}, Caller("m@clients", roles()), "m", True),
    ],
)
def test_each_providers_tokens_are_read(provider: Provider, claims: dict[str, Any], caller: Caller, client: str | None, machine: bool):
    reading = read(provider, claims)
    assert (reading.caller, reading.client, reading.machine) == (caller, client, machine)


def test_their_names_become_ours_and_then_no_other_counts():
    names = {"case-worker": roles("handler"), "lead": roles("supervisor", "handler")}
    reading = read("default", {"sub": "a", "roles": ["case-worker", "lead", "ops"]}, role_names=names)
    assert reading.caller.roles == {"handler", "supervisor"}
    assert reading.named == ("case-worker", "lead", "ops")


def test_a_client_has_its_roles_only_where_it_asked_for_itself():
    how = {"client_roles": {"hotline": roles("front-end"), "desk": roles("ops")}}
    assert read("keycloak", {**KEYCLOAK_MACHINE, "realm_access": {}}, **how).caller.roles == {"front-end"}
    assert "ops" not in read("keycloak", KEYCLOAK, **how).caller.roles, "a person who works with a client is not the client"
    assert read("keycloak", {**KEYCLOAK, "client_id": "other"}, **how).machine is False


def test_groups_name_a_department_unless_the_token_does():
    how = {"department_groups": {"/departments/finance": "finance", "/departments/network": "network"}}
    claims = {"sub": "a", "groups": ["/staff", "/departments/network"]}
    assert read("keycloak", claims, **how).caller.department == "network"
    assert read("keycloak", claims).caller.department is None
    assert read("keycloak", {**claims, "department": "consulting"}, **how).caller.department == "consulting"
    with pytest.raises(ValueError, match="more than one department"):
        read("keycloak", {"sub": "a", "groups": ["/departments/finance", "/departments/network"]}, **how)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({}, "uid or sub is missing"),
        ({"uid": 7, "sub": "a"}, "uid is missing or not a name"),
        ({"sub": "a\x1b[2J"}, "sub is missing or not a name"),
        ({"sub": "a", "groups": "agent"}, "groups is not a list"),
        ({"sub": "a", "groups": ["x" * 201]}, "groups is not a list"),
        ({"sub": "a", "department": ["x"]}, "department is missing or not a name"),
    ],
)
def test_what_is_wrong_with_the_claims_is_said(claims: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        read("okta", claims)


def test_a_name_that_the_list_of_denied_tokens_could_not_hold_refuses_nobody():
    assert read("default", {"sub": "a", "jti": 7}).jti is None
    assert read("default", {"sub": "a", "jti": "t1"}).jti == "t1"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": 1, "b.c": 2}),
        ("a.b", 1),
        ("a.b.c", 2),
        ("https://x.example/roles", ["bi"]),
        ("https://x.example/roles.0", None),
        ("a.z", None),
        ("z.a", None),
    ],
)
def test_a_path_leads_into_claims_and_a_whole_name_goes_first(path: str, found: Any):
    assert found_in({"a": {"b": 1, "b.c": 2}, "https://x.example/roles": ["bi"]}, path) == found


def test_the_default_is_no_wider_than_it_was():
    assert PRESETS["default"] == Layout()
    with pytest.raises(ValueError, match="roles is not a list"):
        read("default", {"sub": "a", "roles": "ops"})


CHANNELS = {"by_channel": True, "client_channels": {"hotline": frozenset({"hotline", "sms"})}}
AREAS = {"by_area": True, "area_groups": {"/teams/east": frozenset({"浦东", "Putuo  District"})}}


def test_channels_are_the_tokens_or_its_clients():
    assert read("keycloak", {**KEYCLOAK_MACHINE, "channels": ["web"]}, **CHANNELS).caller.channels == {"web"}
    assert read("keycloak", {**KEYCLOAK_MACHINE, "channels": "web"}, **CHANNELS).caller.channels == {"web"}
    assert read("keycloak", KEYCLOAK_MACHINE, **CHANNELS).caller.channels == {"hotline", "sms"}
    assert read("keycloak", {**KEYCLOAK, "azp": "hotline"}, **CHANNELS).caller.channels == {"hotline", "sms"}, "who works with it too"
    assert read("keycloak", KEYCLOAK, **CHANNELS).caller.channels == set()
    assert read("auth0", AUTH0 | {"redress/channels": ["app"]}, **CHANNELS).caller.channels == {"app"}


def test_areas_are_the_tokens_and_its_teams_in_their_normal_form():
    claims = {"sub": "a", "groups": ["/teams/east", "/teams/west"]}
    assert read("default", {**claims, "area": " ＮＯＲＴＨ "}, **AREAS).caller.areas == {"浦东", "putuo district", "north"}
    assert read("default", {"sub": "a", "areas": ["x"], "area": "y"}, **AREAS).caller.areas == {"x", "y"}
    assert read("default", {"sub": "a"}, **AREAS).caller.areas == set()
    with pytest.raises(ValueError, match="areas is not a list of names"):
        read("default", {"sub": "a", "areas": 7}, **AREAS)


def test_nobody_looks_for_what_tells_nobody_apart():
    reading = read("default", {"sub": "a", "areas": 7, "channels": 7, "groups": 7})
    assert reading.caller == Caller("a", frozenset())
