"""A published type gains optional fields and new values of enumerations, and nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from redress_events.event import Event, Personal, UtcTime
from redress_events.vocabulary import CLOSED
from redress_spine.schemas.compatibility import incompatibilities, same
from redress_spine.schemas.json_schema import Schema, schema_of

AGGREGATE = "redress.intake.complaint-noted.v1"


class Part(BaseModel):
    """Some part."""

    start: int
    term: str | None = None


class WiderPart(BaseModel):
    """The same part, later."""

    start: int
    term: str | None = None
    end: int = 0


class NarrowerPart(BaseModel):
    start: int


PUBLISHED: dict[str, Any] = {
    "number": (str, ...),
    "channel": (Literal["web", "app"], ...),
    "taken_at": (UtcTime, ...),
    "count": (int, 0),
    "note": (Personal | None, None),
    "parts": (tuple[Part, ...], ()),
    "main": (Part | None, None),
}


def told(value: object) -> str:
    """A name for a case that is the same in each process: no addresses of objects."""
    return re.sub(" object at 0x[0-9a-f]+", "", repr(value))


def noted(**changes: Any) -> Schema:
    """The schema of the published event with other fields; None takes one away."""
    fields = {name: field for name, field in (PUBLISHED | changes).items() if field is not None}
    return schema_of(AGGREGATE, create_model("ComplaintNoted", __base__=Event, **fields))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"remark": (str | None, None)},
        {"remark": (Personal | None, None), "visits": (int, 0)},
        {"channel": (Literal["web", "app", "fax"], ...)},
        {"channel": (Literal["app", "web"], ...)},
        {"number": (Annotated[str, Field(description="What the customer reads out.")], ...)},
        {"parts": (tuple[WiderPart, ...], ())},
        {"main": (WiderPart | None, None)},
    ],
    ids=told,
)
def test_these_changes_may_be_published(changes: dict[str, Any]):
    assert incompatibilities(noted(), noted(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"remark": (str, ...)}, "`remark` is new and required"),
        ({"number": None}, "`number` is gone"),
        ({"note": None}, "`note` is gone"),
        ({"number": (str, "")}, "`number` became optional"),
        ({"count": (int, ...)}, "`count` became required"),
        ({"number": (int, ...)}, "`number` changed its type from 'string' to 'integer'"),
        ({"number": (str | None, ...)}, "`number` changed its type"),
        ({"number": (Annotated[str, Field(max_length=9)], ...)}, "`number` changed its maxLength from nothing to 9"),
        ({"count": (float, 0)}, "`count` changed its type"),
        ({"count": (int, 1)}, "`count` changed its default from 0 to 1"),
        ({"taken_at": (str, ...)}, "`taken_at` changed its format"),
        ({"channel": (Literal["web"], ...)}, "`channel` lost the value app"),
        ({"channel": (str, ...)}, "`channel` is no longer an enumeration"),
        ({"number": (Literal["1"], ...)}, "`number` became an enumeration"),
        ({"number": (Personal, ...)}, "`number` changed its x-personal from nothing to True"),
        ({"note": (str | None, None)}, "`note` changed its x-personal from True to nothing"),
        ({"parts": (tuple[NarrowerPart, ...], ())}, "`parts[].term` is gone"),
        ({"parts": (Part, Part(start=1))}, "`parts` changed its type"),
        ({"main": (NarrowerPart | None, None)}, "`main.term` is gone"),
    ],
    ids=told,
)
def test_these_changes_need_a_new_class(changes: dict[str, Any], reason: str):
    assert any(found.startswith(reason) for found in incompatibilities(noted(), noted(**changes)))


def test_an_event_does_not_move_to_another_topic():
    class Moved(Event):
        topic: ClassVar[str] = CLOSED
        stream: ClassVar[str] = "closed"

    class Stayed(Event):
        pass

    assert incompatibilities(schema_of(AGGREGATE, Stayed), schema_of(AGGREGATE, Moved)) == [
        "the type changed its x-stream from 'complaint' to 'closed'",
        "the type changed its x-topic from 'complaints.lifecycle.v1' to 'complaints.closed.v1'",
    ]


def test_on_a_public_topic_enumerations_are_open():
    class Public(Event):
        topic: ClassVar[str] = CLOSED

        reason: Literal["satisfied"]
        outcome: Literal["resolved", "rejected"] | None = None

    properties = schema_of(AGGREGATE, Public)["properties"]
    assert properties["reason"] == {"type": "string", "x-extensible-enum": ["satisfied"]}
    assert properties["outcome"]["anyOf"][0] == {"type": "string", "x-extensible-enum": ["resolved", "rejected"]}


def test_words_for_people_are_no_change():
    described = noted(number=(Annotated[str, Field(description="Read out.")], ...))
    assert described != noted()
    assert same(described, noted())


def test_a_field_called_description_is_no_words():
    assert not same(noted(description=(str, "")), noted(description=(int, 0)))
    assert incompatibilities(noted(description=(str, "")), noted()) == [
        "`description` is gone, but events on the log have it and readers may need it"
    ]
