"""One request on its way through: what the front door learned of it, for the handlers, the log line and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from redress_chassis.auth.callers import Caller
from redress_chassis.edge.trace import TraceContext
from redress_spine.tracing import Span

PLACE = "redress.exchange"  # in the ASGI scope


@dataclass(slots=True)
class AccessNotes:
    """What one request did with personal fields.

    subjects: whose were opened, and which, by their references. searched: the field by whose value a list was searched.
    allowed: the roles in which the caller reached them, and how far each reaches. refused: the subject is there, and out of reach.
    reason: why they break the glass, where they say so. broken: they reached the subject by that alone."""

    subjects: dict[str, list[str]] = field(default_factory=dict)
    searched: str | None = None
    allowed: dict[str, str] = field(default_factory=dict)
    refused: bool = False
    reason: str | None = None
    broken: bool = False

    def read(self, subject: str, references: Iterable[str], allowed: Mapping[str, str]) -> None:
        self.subjects.setdefault(subject, []).extend(references)
        self.allowed.update(allowed)


@dataclass(slots=True)
class RequestContext:
    """trace: its thread; span: what is collected of it, where somebody does. caller: who asks, verified. raw, body: what was sent, and the
    JSON in it. subject, code: for the log line. access: for the audit trail. release: makes room for the next request, and says how many
    seconds this one took. seconds: that, of a stream that has begun."""

    method: str
    path: str
    trace: TraceContext
    headers: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    caller: Caller | None = None
    raw: bytes = field(default=b"", repr=False)
    body: Any = field(default=None, repr=False)
    subject: str | None = None
    code: str | None = None
    status: int = 0
    access: AccessNotes = field(default_factory=AccessNotes)
    span: Span | None = None
    release: Callable[[], float] | None = field(default=None, repr=False)
    seconds: float | None = None

    def begun(self) -> None:
        """The answer has begun and goes on for minutes: it is no longer one of those under way, and its length says nothing of ours."""
        if self.release is not None:
            self.seconds = self.release()

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def request_context_of(scope: Scope) -> RequestContext:
    request_context: RequestContext = scope[PLACE]
    return request_context
