"""Idempotency keys: one key of one caller for one route is one request, however often it is sent."""

from __future__ import annotations

import hashlib
import struct

import orjson

from redress_chassis.api.validation import Flaw
from redress_chassis.edge.problems import Problem
from redress_chassis.edge.request_context import RequestContext

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"  # `true` in the answer to a repeated request: nothing was done again
LONGEST = 200  # characters


def key_of(request_context: RequestContext) -> str | None:
    """The request's key, required where it is a POST. Raises the 400s."""
    key = request_context.header(b"idempotency-key")
    if key is None:
        if request_context.method == "POST":
            raise _refused(
                "idempotency-key-missing", f"Send the header {HEADER} with a value of your own, the same when you repeat this request."
            )
        return None
    if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
        raise _refused("idempotency-key-invalid", f"{HEADER} is 1 to {LONGEST} printable ASCII characters.")
    return key


def scoped(key: str, caller: str, method: str, route: str) -> str:
    """The key as it is stored: another caller's or another route's equal key is another key. Hex, 64 digits."""
    return _digest(caller.encode(), method.encode(), route.encode(), key.encode()).hex()


def digest(request_context: RequestContext, query: bytes) -> bytes:
    """What the request says, in a form in which JSON's spaces and order of names make no difference. 32 bytes."""
    body = orjson.dumps(request_context.body, option=orjson.OPT_SORT_KEYS)
    return _digest(request_context.method.encode(), request_context.path.encode("utf-8", "surrogatepass"), query, body)


def _digest(*parts: bytes) -> bytes:
    """With the lengths, so that no two lists of parts run into one another."""
    return hashlib.sha256(struct.pack(f">{len(parts)}Q", *map(len, parts)) + b"".join(parts)).digest()


def _refused(code: str, detail: str) -> Problem:
    return Problem(400, code, detail, [Flaw("/idempotency-key", detail, code, "header")])
