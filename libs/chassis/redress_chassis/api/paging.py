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

from redress_chassis.api.validation import Flaw
from redress_chassis.edge.problems import Problem
from redress_spine.store.entries import BEGINNING, EntryPlace
from redress_spine.store.states import Query

MOST, USUAL = 200, 50  # items of a page
LATEST = 20  # entries of a list that an answer about the whole subject shows
LATEST_BYTES = 64 * 1024  # of each such list: the entry that passes it is the last one
SOURCE = re.compile(r"[a-z-]{1,40}")
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


def cursor_at(place: EntryPlace, subject: str, name: str) -> str:
    """The cursor behind an entry of one of a subject's lists."""
    return base64.urlsafe_b64encode(orjson.dumps([f"{subject} {name}", *place])).rstrip(b"=").decode()


def entry_after(cursor: str | None, subject: str, name: str) -> EntryPlace:
    """Behind which entry the page begins. Raises a 400 `bad-cursor`."""
    if cursor is None:
        return BEGINNING
    match _decoded(cursor):
        case [str(of), int(at), str(source), int(version)] if (
            of == f"{subject} {name}" and SOURCE.fullmatch(source) and abs(at) < 2**63 and 0 < version < 2**63
        ):
            return at, source, version
    raise bad_cursor()


def cursor_before(position: int, subject: str, name: str) -> str:
    """The cursor behind one of a subject's effects."""
    return base64.urlsafe_b64encode(orjson.dumps([f"{subject} {name}", position])).rstrip(b"=").decode()


def position_before(cursor: str | None, subject: str, name: str) -> int | None:
    """Behind which effect the page begins. Raises a 400 `bad-cursor`."""
    if cursor is None:
        return None
    match _decoded(cursor):
        case [str(of), int(position)] if of == f"{subject} {name}" and 0 < position < 2**63 and not isinstance(position, bool):
            return position
    raise bad_cursor()


def place_of(cursor: str | None, query: Query, args: Sequence[Any]) -> tuple[int, str] | None:
    """Where the page begins. Raises a 400 `bad-cursor`."""
    if cursor is None:
        return None
    match _decoded(cursor):
        case [str(name), int(order), str(subject)] if (
            name == _list(query, args) and not isinstance(order, bool) and abs(order) < 2**63 and SUBJECT.fullmatch(subject)
        ):
            return order, subject
    raise bad_cursor()


def _decoded(cursor: str) -> Any:
    try:
        return orjson.loads(base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise bad_cursor() from None


def _list(query: Query, args: Sequence[Any]) -> str:
    return hashlib.sha256(orjson.dumps([query.name, list(args)], default=str)).hexdigest()[:16]


def bad_cursor() -> Problem:
    detail = "Take the cursor from `next` of the page before, with the same filters."
    return Problem(400, "bad-cursor", detail, [Flaw("/cursor", detail, "bad-cursor", "query")])
