"""The thread a request belongs to: W3C trace context, taken over from the caller or begun here."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from dataclasses import dataclass

# Version 00, and later ones as far as they look the same (W3C Trace Context, 3.2). Version ff and ids of zeros are invalid.
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

CURRENT: ContextVar[str | None] = ContextVar("trace", default=None)  # of the request that is being answered, for its log lines


@dataclass(frozen=True, slots=True)
class Trace:
    """trace: 32 hex digits, the correlation id of all that follows. parent: the header for what this request causes."""

    trace: str
    parent: str


def continued(traceparent: str | None) -> Trace:
    """The caller's trace with a span of our own, or a new one where there is none or it is malformed."""
    trace, flags = os.urandom(16).hex(), "01"
    if traceparent and len(traceparent) <= 200 and (match := TRACEPARENT.fullmatch(traceparent)) and (match[1] != "00" or not match[5]):
        trace, flags = match[2], match[4]
    return Trace(trace, f"00-{trace}-{os.urandom(8).hex()}-{flags}")
