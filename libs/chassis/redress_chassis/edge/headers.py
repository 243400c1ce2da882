"""Headers of requests that may stand there once, and those that every answer has."""

from __future__ import annotations

from collections.abc import Iterable

from redress_chassis.api.validation import Flaw, pointer_to
from redress_chassis.edge.problems import Problem

RawHeader = tuple[bytes, bytes]
# Two of them would say two things, and a proxy in front may have looked at the other one.
ONCE = frozenset(
    {
        *(b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key", b"if-match"),
        *(b"if-none-match", b"redress-break-glass"),
    }
)
CONTENT_POLICY = b"content-security-policy"
EVERY: tuple[RawHeader, ...] = (
    (b"cache-control", b"no-store"),
    (CONTENT_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
OVER_TLS: tuple[RawHeader, ...] = (*EVERY, (b"strict-transport-security", b"max-age=31536000"))
# The pages that show the interface (`operations/documents.py`) run scripts of this host alone.
POLICIES = {
    "/docs": b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
    # Redoc makes its styles as it goes.
    "/docs/redoc": b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    b" frame-ancestors 'none'",
}


def refuse_repeated(raw: Iterable[RawHeader]) -> None:
    """Raises a 400 where one stands twice that may stand once."""
    seen: set[bytes] = set()
    for name, _ in raw:
        if name in seen and name in ONCE:
            shown, detail = name.decode(), "It may be given once"
            raise Problem(400, "repeated-header", f"header {shown}: {detail}.", [Flaw(pointer_to([shown]), detail, "repeated", "header")])
        seen.add(name)


def secured(headers: Iterable[RawHeader], path: str, over_tls: bool) -> list[RawHeader]:
    """An answer's headers with those of every answer. A page that names a content policy names the others too, and stands as it is."""
    own = list(headers)
    for name, _ in own:
        if name == CONTENT_POLICY:
            return own
    own += OVER_TLS if over_tls else EVERY
    if path in POLICIES:
        own = [(name, POLICIES[path] if name == CONTENT_POLICY else value) for name, value in own]
    return own
