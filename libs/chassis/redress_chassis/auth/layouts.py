"""Where a token says who calls: each provider has its own places for roles, department and the user's id, and they become ours here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from redress_chassis.auth.callers import LONGEST_NAME, ROLES, Caller
from redress_events.areas import normal_area

Provider = Literal["default", "keycloak", "entra", "okta", "auth0"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of claims, or paths with dots into nested ones, as `realm_access.roles`. A claim that has the whole name goes first, for some
    have dots in their names. `{audience}` stands for our audience.

    roles: lists of names; all that the token has count. subject, department, client: the first that the token has counts.
    groups: lists of groups, which settings may turn into a department and into areas.
    channels, areas: lists of names, or one name; all that the token has count.
    machine: `claim=value`, which a token has that a client got for itself, and none that it got for a person; `{client}` is its name.
    """

    roles: tuple[str, ...] = ("roles",)
    subject: tuple[str, ...] = ("sub",)
    department: tuple[str, ...] = ("department",)
    groups: tuple[str, ...] = ("groups",)
    channels: tuple[str, ...] = ("channels",)
    areas: tuple[str, ...] = ("areas", "area")
    client: tuple[str, ...] = ("azp", "client_id")
    machine: str = "sub={client}"  # RFC 9068, 2.2


PRESETS: Mapping[Provider, Layout] = {
    "default": Layout(),
    # Client roles stand under the client's name: ours is the one that tokens are meant for.
    "keycloak": Layout(roles=("realm_access.roles", "resource_access.{audience}.roles"), machine="client_id={client}"),
    # `sub` is another one in each application; `appid` is that of tokens in the form 1.0.
    "entra": Layout(subject=("oid",), client=("azp", "appid"), machine="idtyp=app"),
    # `sub` is the login, which may change, and of a client its id, which `uid` is not there for.
    "okta": Layout(roles=("groups",), subject=("uid", "sub"), client=("cid",)),
    # What is no claim of its own must have an address for a name.
    "auth0": Layout(
        roles=("{audience}/roles", "permissions"),
        department=("{audience}/department",),
        groups=("{audience}/groups",),
        channels=("{audience}/channels",),
        areas=("{audience}/areas",),
        client=("azp",),
        machine="gty=client-credentials",
    ),
}


@dataclass(frozen=True, slots=True)
class TokenReading:
    """Who a token says calls. client: the program that asked for it. machine: for itself. jti: the token's own name, where it has one.
    named: all roles that it names, ours or not. groups: those that it names."""

    caller: Caller
    client: str | None = None
    machine: bool = False
    jti: str | None = None
    named: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimReader:
    """How one installation reads tokens.

    role_names: its provider's names → our roles; with any, no other name counts. Without, the names are ours.
    client_roles: what machine callers may be beside that, by their client. department_groups: group → department.
    by_channel, by_area: whether callers are told apart by them; else nobody looks for them. client_channels: client → its channels, where
    the token names none. area_groups: group → its areas, beside those that the token names.
    """

    layout: Layout = PRESETS["default"]
    audience: str = ""
    role_names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    client_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    department_groups: Mapping[str, str] = field(default_factory=dict)
    by_channel: bool = False
    client_channels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    by_area: bool = False
    area_groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def read(self, claims: Mapping[str, Any]) -> TokenReading:
        """Raises ValueError, which says what is wrong with the claims, without their values."""
        layout = self.layout
        named = tuple(role for claim in layout.roles for role in self._names(claims, claim))
        mapped = self.department_groups or (self.by_area and self.area_groups)
        groups = tuple(group for claim in layout.groups for group in self._names(claims, claim)) if mapped else ()
        client = self._first(claims, layout.client)
        machine = self._is_machine(claims, client)
        roles = self.ours(named) | (self.client_roles.get(client, frozenset()) if machine and client is not None else frozenset())
        subject = self._first(claims, layout.subject)
        if subject is None:
            raise ValueError(f"the claim {' or '.join(map(self.claim, layout.subject))} is missing or not a name")
        department = self._first(claims, layout.department) or self._department(groups)
        jti = claims.get("jti")
        caller = Caller(subject, roles, department, self._channels(claims, client), self._areas(claims, groups))
        return TokenReading(caller, client, machine, jti if is_name(jti) else None, named, groups)

    def claim(self, name: str) -> str:
        return name.replace("{audience}", self.audience)

    def ours(self, named: Iterable[str]) -> frozenset[str]:
        """What these names of theirs stand for."""
        if self.role_names:
            return frozenset().union(*(self.role_names.get(name, frozenset()) for name in named))
        return frozenset(named).intersection(ROLES)

    def _channels(self, claims: Mapping[str, Any], client: str | None) -> frozenset[str]:
        """Those that the token names; else its client's, whether it asked for itself or for somebody who works with it: they give nothing
        to who has no role."""
        if not self.by_channel:
            return frozenset()
        named = self._one_or_several(claims, self.layout.channels)
        return frozenset(named) if named else self.client_channels.get(client or "", frozenset())

    def _areas(self, claims: Mapping[str, Any], groups: Iterable[str]) -> frozenset[str]:
        if not self.by_area:
            return frozenset()
        named = {*self._one_or_several(claims, self.layout.areas), *(area for group in groups for area in self.area_groups.get(group, ()))}
        return frozenset(map(normal_area, named))

    def _one_or_several(self, claims: Mapping[str, Any], names: Iterable[str]) -> list[str]:
        found: list[str] = []
        for claim in names:
            one = found_in(claims, self.claim(claim))
            found += [one] if is_name(one) else self._names(claims, claim)
        return found

    def _names(self, claims: Mapping[str, Any], claim: str) -> list[str]:
        found = found_in(claims, claim := self.claim(claim))
        if found is None:
            return []
        if not isinstance(found, list) or not all(is_name(each) for each in found):
            raise ValueError(f"the claim {claim} is not a list of names")
        return found

    def _first(self, claims: Mapping[str, Any], names: Iterable[str]) -> str | None:
        for claim in map(self.claim, names):
            if (found := found_in(claims, claim)) is None:
                continue
            if not is_name(found):
                raise ValueError(f"the claim {claim} is missing or not a name")
            return str(found)
        return None

    def _is_machine(self, claims: Mapping[str, Any], client: str | None) -> bool:
        claim, _, value = self.layout.machine.partition("=")
        found = found_in(claims, self.claim(claim))
        return client is not None and found is not None and found == value.replace("{client}", client)

    def _department(self, groups: Iterable[str]) -> str | None:
        found = {self.department_groups[group] for group in groups if group in self.department_groups}
        if len(found) > 1:
            raise ValueError("its groups name more than one department")
        return found.pop() if found else None


def found_in(claims: Mapping[str, Any], path: str) -> Any:
    """What a claim holds, None where the token has none."""
    if path in claims:
        return claims[path]
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        inner = claims.get(".".join(parts[:end]))
        if isinstance(inner, Mapping) and (found := found_in(inner, ".".join(parts[end:]))) is not None:
            return found
    return None


def is_name(value: object) -> bool:
    # Names go into events and jsonb, where NUL and lone surrogates cannot be stored: neither is printable.
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()
