"""Lists in pages: a cursor names the last item that was seen, so pages neither skip nor repeat what others add meanwhile."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query as Parameter

from redress_chassis.problems import Problem
from redress_chassis.validation import Flaw
from redress_events.states import Query

MOST, USUAL = 200, 50  # items of a page
SUBJECT = re.compile(r"[a-z-]{1,40}/[0-9a-zA-Z-]{1,64}")
Item = TypeVar("Item")

Limit = Annotated[int, Parameter(ge=1, le=MOST, description="Items of a page.")]
Cursor = Annotated[str | None, Parameter(max_length=400, description="`next` of the page before.")]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Items in the query's order, and the cursor of the next page, None at the end."""

    items: list[Item]
    next: str | None = None


def cursor_after(query: Query, args: Sequence[Any], order: int, subject: str) -> str:
    """Opaque to its bearer, and good for this list alone."""
    content = orjson.dumps([_list(query, args), order, subject])
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def place_of(cursor: str | None, query: Query, args: Sequence[Any]) -> tuple[int, str] | None:
    """Where the page begins. Raises a 400 `bad-cursor`."""
    if cursor is None:
        return None
    try:
        content = orjson.loads(base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise _bad_cursor() from None
    match content:
        case [str(name), int(order), str(subject)] if (
            name == _list(query, args) and not isinstance(order, bool) and abs(order) < 2**63 and SUBJECT.fullmatch(subject)
        ):
            return order, subject
    raise _bad_cursor()


def _list(query: Query, args: Sequence[Any]) -> str:
    return hashlib.sha256(orjson.dumps([query.name, list(args)], default=str)).hexdigest()[:16]


def _bad_cursor() -> Problem:
    detail = "Take the cursor from `next` of the page before, with the same filters."
    return Problem(400, "bad-cursor", detail, [Flaw("/cursor", detail, "bad-cursor", "query")])
