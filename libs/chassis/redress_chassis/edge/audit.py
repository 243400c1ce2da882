"""What the audit trail is told of a request: who read or was refused what, from where, and why they might.

An endpoint says nothing of this: what opens personal fields, searches by them or refuses notes it, and the front door has it written before
the answer leaves.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from starlette.types import Scope

from redress_chassis.api.validation import Flaw
from redress_chassis.edge.caller_limits import address_of
from redress_chassis.edge.problems import Problem, invalid
from redress_chassis.edge.request_context import request_context_of
from redress_spine.processing.skips import checked_why

BREAK_GLASS = "Redress-Break-Glass"
LEAST_REASON = 20  # characters: room for a ticket and a sentence
READING, BROKEN_GLASS, REFUSAL = "reading", "break-glass", "refusal"  # kinds of records
REFUSED = frozenset({401, 403})


def reading_of(scope: Scope) -> dict[str, Any] | None:
    """The record of an answer that shows what was asked for; None where it shows nothing personal."""
    request_context = request_context_of(scope)
    access = request_context.access
    if access.broken and request_context.subject:  # recorded though nothing personal is left of it
        access.read(request_context.subject, (), {})
    if not access.subjects and access.searched is None:
        return None
    why = {"allowed": access.allowed, "reason": access.reason if access.broken else None, "searched": access.searched}
    return _record(scope, BROKEN_GLASS if access.broken else READING, access.subjects, why)


def refusal_of(scope: Scope, problem: Problem) -> dict[str, Any] | None:
    """The record of an answer that refuses; None where it is about something else. What is out of reach is answered like what is not there,
    and recorded as what it is."""
    request_context = request_context_of(scope)
    access = request_context.access
    if not access.refused and problem.status not in REFUSED:
        return None
    subjects: dict[str, list[str]] = {request_context.subject: []} if request_context.subject else {}
    return _record(scope, REFUSAL, subjects, {"code": "out-of-reach" if access.refused else problem.code, "reason": access.reason})


def stranger_of(scope: Scope, problem: Problem) -> dict[str, Any]:
    """The record of a call that no known caller made: anybody can make them without end, so they are counted."""
    return {"kind": REFUSAL, "address": address_of(scope), "code": problem.code}


def _record(scope: Scope, kind: str, subjects: dict[str, list[str]], more: dict[str, Any]) -> dict[str, Any]:
    request_context = request_context_of(scope)
    caller = request_context.caller
    who = {"who": caller.sub, "roles": sorted(caller.roles), "department": caller.department} if caller else {}
    what = {"operation": operation_of(scope), "subjects": subjects, "address": client_of(scope), "trace": request_context.trace.trace}
    return {"kind": kind, **{name: value for name, value in (who | what | more).items() if value is not None}}


def operation_of(scope: Scope) -> str | None:
    """By the route's template: a path that leads nowhere may hold anything. HEAD is a GET without the body."""
    path = getattr(scope.get("route"), "path", None)
    return f"{scope['method']} {path}" if path else None


def client_of(scope: Scope) -> str | None:
    """Where the request came from, or what a trusted proxy says of that."""
    client = scope.get("client")
    return str(client[0]) if client else None


def reason_of(header: bytes | None) -> str | None:
    """Why somebody breaks the glass: the header in UTF-8, percent-encoded where that is not ASCII. Raises a 422."""
    if header is None:
        return None
    try:
        reason = checked_why(unquote(header.decode(), errors="strict"))
    except UnicodeDecodeError:
        raise _no_reason("It is not UTF-8.") from None
    except ValueError as error:
        raise _no_reason(str(error)) from None
    if len(reason) < LEAST_REASON:
        raise _no_reason(f"The reason has {len(reason)} characters, and {LEAST_REASON} at least are asked for: a ticket and a sentence.")
    return reason


def _no_reason(detail: str) -> Problem:
    return invalid([Flaw(f"/{BREAK_GLASS.lower()}", detail, "no-reason", "header")])
