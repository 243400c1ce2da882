"""How the services of an installation read a token, and why they refuse it. The token itself is never printed, for it opens doors."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from joserfc import jws

from redress_chassis.auth.layouts import ClaimReader, TokenReading, found_in
from redress_chassis.auth.tokens import UNREADABLE
from redress_chassis.edge.problems import Problem
from redress_chassis.identity_settings import IdentitySettings
from redress_cli.harmless import harmless

LONGEST = 300  # characters of a value that are shown
UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


@dataclass(frozen=True, slots=True)
class Explanation:
    """lines: what is said of what. verdict: the last word. accepted: whether the services let its bearer in."""

    lines: list[tuple[str, str]]
    verdict: str
    accepted: bool


async def explained(token: str, settings: IdentitySettings) -> Explanation:
    """The verdict is that of the services' own check; the lines are read from the token as it stands, good or forged."""
    tokens = settings.tokens()
    try:
        reading = await tokens.reading(token)
        verdict, accepted = _accepted(reading), True
    except Problem as problem:
        said = "Not judged" if problem.status == 503 else "Refused"
        verdict, accepted = f"{said}: {problem.status} {problem.code}. {problem.detail}", False
    finally:
        await tokens.close()
    return Explanation([(what, text) for what, text in _read(token, settings) if text], verdict, accepted)


def _accepted(reading: TokenReading) -> str:
    caller = reading.caller
    roles = ", ".join(sorted(caller.roles))
    place = f"of the department {caller.department}" if caller.department else "of no department"
    place += f", with the channels {', '.join(sorted(caller.channels))}" if caller.channels else ""
    place += f", with the areas {', '.join(sorted(caller.areas))}" if caller.areas else ""
    return f"Accepted: {caller.sub}, {place}, is {roles}." if roles else f"Accepted, but {caller.sub} may do nothing: no role of ours."


def _read(token: str, settings: IdentitySettings) -> Iterator[tuple[str, str]]:
    try:
        signed = jws.extract_compact(token.encode())
        header, claims = signed.headers(), orjson.loads(signed.payload)
    except UNREADABLE:
        return
    if not isinstance(claims, dict):
        return
    kid = f", key {shown(header['kid'])}" if "kid" in header else ", no key named"
    yield "signed", shown(header.get("alg")) + kid
    yield "type", ", ".join(f"{where} {shown(part['typ'])}" for where, part in (("header", header), ("claim", claims)) if "typ" in part)
    yield "issuer", _compared(claims.get("iss"), settings.issuer, "REDRESS_ISSUER")
    yield "audience", _compared(claims.get("aud"), settings.audience, "REDRESS_AUDIENCE")
    for what, claim in (("issued", "iat"), ("from", "nbf"), ("until", "exp")):
        yield what, _moment(claims[claim]) if claim in claims else "never" if claim == "exp" else ""
    yield "jti", shown(claims["jti"]) if "jti" in claims else ""
    yield from _caller(claims, settings.reader(), settings)


def _caller(claims: Mapping[str, Any], reader: ClaimReader, settings: IdentitySettings) -> Iterator[tuple[str, str]]:
    layout = reader.layout
    yield "id", _first(claims, reader, layout.subject)
    yield "client", _first(claims, reader, layout.client)
    try:
        reading = reader.read(claims)
    except ValueError as error:
        yield "not read", f"{error}"
        return
    roles = [name for claim in map(reader.claim, layout.roles) for name in (found_in(claims, claim) or ())]
    yield "its roles", f"{_places(reader, layout.roles)}: {shown(roles) if roles else 'none'}"
    counted = [name for name in reading.named if reader.ours([name])]
    if over := [name for name in reading.named if name not in counted]:
        yield "passed over", f"{shown(over)}: " + ("not in REDRESS_ROLE_NAMES" if reader.role_names else "no roles of ours")
    if reading.client in reader.client_roles:
        granted = ", ".join(sorted(reader.client_roles[reading.client or ""]))
        why = f"a person works with it, for the token lacks {layout.machine.replace('{client}', shown(reading.client))}"
        yield "client roles", granted if reading.machine else f"not {granted}: {why}"
    yield "our roles", ", ".join(sorted(reading.caller.roles)) or "none"
    if settings.department_groups or settings.area_groups:
        yield "groups", f"{_places(reader, layout.groups)}: {shown(reading.groups) if reading.groups else 'none'}{_overage(claims)}"
    if reader.by_channel:
        yield "channels", _told_apart(reader, layout.channels, reading.caller.channels, "what it registers is refused")
    if reader.by_area:
        yield "areas", _told_apart(reader, layout.areas, reading.caller.areas, "an agent reaches what is in no area alone")
    yield "department", shown(reading.caller.department) if reading.caller.department else f"none in {_places(reader, layout.department)}"


def _first(claims: Mapping[str, Any], reader: ClaimReader, names: Iterable[str]) -> str:
    for claim in map(reader.claim, names):
        if (found := found_in(claims, claim)) is not None:
            return f"{claim}: {shown(found)}"
    return f"none in {_places(reader, names)}"


def _told_apart(reader: ClaimReader, names: Iterable[str], found: frozenset[str], without: str) -> str:
    return shown(sorted(found)) if found else f"none in {_places(reader, names)}: {without}"


def _places(reader: ClaimReader, names: Iterable[str]) -> str:
    return " and ".join(map(reader.claim, names))


def _overage(claims: Mapping[str, Any]) -> str:
    """Entra leaves the groups out of a token that would have too many of them."""
    lacks = "groups" in (claims.get("_claim_names") or {}) or claims.get("hasgroups")
    return " (left out of the token, for there are too many: assign fewer groups to the application)" if lacks else ""


def _compared(found: Any, wanted: str, setting: str) -> str:
    fits = wanted in found if isinstance(found, list) else wanted == found
    return f"{shown(found)}, as {setting} has it" if fits else f"{shown(found)}, and not {setting}, which is {shown(wanted)}"


def _moment(seconds: Any) -> str:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return f"{shown(seconds)}, which is not a time in seconds"
    away = seconds - time.time()
    unit, size = next((each for each in UNITS if abs(away) >= each[1]), UNITS[-1])
    count = f"{abs(away) / size:.0f} {unit}"
    return f"{at.isoformat(timespec='seconds')}, {f'in {count}' if away > 0 else f'{count} ago'}"


def shown(value: Any) -> str:
    """A value of a token, which anybody may have written: without what a terminal would obey, and not endless."""
    text = ", ".join(map(shown, value)) if isinstance(value, (list, tuple)) else harmless(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
