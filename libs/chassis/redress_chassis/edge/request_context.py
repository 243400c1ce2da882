"""One request on its way through: what the front door learned of it, for the handlers, the log line and the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from redress_chassis.auth.callers import Caller
from redress_chassis.edge.trace import TraceContext
from redress_spine.tracing import Span

PLACE = "redress.exchange"  # in the ASGI scope


@dataclass(slots=True)
class RequestContext:
    """trace: its thread; span: what is collected of it, where somebody does. caller: who asks, verified. raw, body: what was sent, and the
    JSON in it. subject, code: for the log line."""

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
    span: Span | None = None

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def request_context_of(scope: Scope) -> RequestContext:
    request_context: RequestContext = scope[PLACE]
    return request_context
