"""Who calls: somebody's id, roles and department, and the token's way into a request. (How a token says so: `layouts.py`)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from redress_chassis.edge.problems import Problem

Role = Literal["front-end", "agent", "handler", "supervisor", "ops", "bi"]
ROLES: tuple[Role, ...] = get_args(Role)
LONGEST_NAME = 200  # characters of a subject, role or department: they go into events
LONGEST_TOKEN = 8192  # bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. What they may do is the sum of what their roles may. (`permissions.py`) channels, areas: theirs, where an
    installation tells front ends apart by channel, or agents by area; areas in their normal form."""

    sub: str
    roles: frozenset[str]
    department: str | None = None
    channels: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()


def bearer(authorization: str | None) -> str:
    """The token of an Authorization header. Raises the 401s that say how to ask."""
    if authorization is None:
        raise no_token()
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN or not token.isascii():
        raise bad_token("The Authorization header holds no bearer token.")
    return token


def no_token() -> Problem:
    return Problem(401, "no-token", "Send a bearer token.", headers={"www-authenticate": 'Bearer realm="redress"'})


def bad_token(detail: str, code: str = "bad-token") -> Problem:
    challenge = f'Bearer realm="redress", error="invalid_token", error_description="{detail}"'
    return Problem(401, code, detail, headers={"www-authenticate": challenge})
