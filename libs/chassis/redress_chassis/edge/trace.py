"""The thread a request belongs to: W3C trace context, taken over from the caller or begun here."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry.trace import format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True)
class TraceContext:
    """trace: 32 hex digits, the correlation id of all that follows. parent: the header for what this request causes."""

    trace: str
    parent: str

    @property
    def span(self) -> str:
        """16 hex digits: this request's own span."""
        return self.parent[36:52]


CURRENT: ContextVar[TraceContext | None] = ContextVar("trace", default=None)  # of the request that is being answered, for its log lines


def continued(traceparent: str | None) -> TraceContext:
    """The caller's trace with a span of our own, or a new one where there is none or it is malformed."""
    trace, flags = os.urandom(16).hex(), 1
    if traceparent and (span := get_current_span(PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()).is_valid:
        trace, flags = format_trace_id(span.trace_id), span.trace_flags
    return TraceContext(trace, f"00-{trace}-{os.urandom(8).hex()}-{flags:02x}")


def of_span(traceparent: str) -> TraceContext:
    """The trace of a span that is collected."""
    return TraceContext(traceparent[3:35], traceparent)
