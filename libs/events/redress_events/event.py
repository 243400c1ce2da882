"""What an event is: a frozen model that a service publishes, its place on the log, and which of its fields are personal."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from redress_events.vocabulary import LIFECYCLE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The one allowance for clocks of others: a client's or a token issuer's may be so far from ours, ahead or behind. (Our own are compared
# with their databases': REDRESS_CLOCK_TOLERANCE_SECONDS.)
SKEW = timedelta(minutes=2)


if TYPE_CHECKING:
    from dataclasses import replace as replace  # by which type checkers know names and types
else:

    def replace(facet, /, **changes):
        """`dataclasses.replace` for facets, in half its time: folds do little else. All fields are `init` fields."""
        values, places = _values_and_places(type(facet))
        given = list(values(facet))
        try:
            for name, value in changes.items():
                given[places[name]] = value
        except KeyError as error:
            raise TypeError(f"{type(facet).__name__} has no field {error}.") from None
        return type(facet)(*given)

    @cache
    def _values_and_places(facet_type):
        names = [each.name for each in dataclasses.fields(facet_type)]
        # Of a single name attrgetter gives the value itself, and no tuple.
        values = attrgetter(*names) if len(names) > 1 else lambda facet: (getattr(facet, names[0]),)
        return values, {name: n for n, name in enumerate(names)}


def micros(instant: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z: how state stores an instant (PostgreSQL can index it, exactly)."""
    since = instant - EPOCH  # 0.3 µs by these sums, 0.8 by dividing, and a fold dumps a dozen instants
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(value: object) -> object:
    return EPOCH + timedelta(microseconds=value) if isinstance(value, int) else value


def to_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # the first or the last hours of the calendar; pydantic lets only ValueError become a finding
        raise ValueError("the instant does not exist in UTC") from None


def not_after(told: datetime, latest: datetime) -> datetime | None:
    """A time that a client told, of what cannot be later than `latest`. Later by SKEW or less: their clock is ahead of ours, and it was
    at `latest`. Later still: None."""
    return min(told, latest) if told <= latest + SKEW else None


def not_before(told: datetime, earliest: datetime) -> datetime | None:
    """The same for a time that cannot be earlier than `earliest`."""
    return max(told, earliest) if told >= earliest - SKEW else None


# An instant in an event: RFC 3339 text in UTC.
UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc)]
# An instant in a state (Observed, Own): epoch microseconds in jsonb, an aware datetime in Python.
Instant = Annotated[datetime, BeforeValidator(from_micros), PlainSerializer(micros, return_type=int)]


class PersonalMark:
    """Marks a field that is sealed before it reaches the journal."""


# Clear text while deciding; on the log `sealed:1:…`; in a fold the reference `<source>/<version>/<field>` under which the vault opens it.
Personal = Annotated[str, PersonalMark(), WithJsonSchema({"type": "string", "pattern": "^sealed:1:", "x-personal": True})]


class Event(BaseModel):
    """Something that happened, in the past tense. A published type only gains optional fields; a new meaning is a new `V2` class."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    topic: ClassVar[str] = LIFECYCLE
    stream: ClassVar[str] = "complaint"  # kind of the stream it stands in; the id part is always the decided subject's
    decided_on: ClassVar[str] = "complaint"  # kind of the subject whose `evolve` folds it

    @classmethod
    def personal_fields(cls) -> tuple[str, ...]:
        """Names of the fields that carry personal data, in order of declaration."""
        return _personal_fields(cls)

    def personal_values(self) -> dict[str, str]:
        """Under its name, what each personal field holds that was given: in a fold, the reference by which it is opened."""
        return {name: value for name in _personal_fields(type(self)) if (value := getattr(self, name)) is not None}


class Forgetting(Event):
    """After such an event nobody can read what is sealed for its subject any more: whoever reads it destroys the subject's key.

    proof: by which its source says so. It stands beside the tombstone of the key too, and in clear.
    """

    proof: str


@cache
def _personal_fields(event: type[Event]) -> tuple[str, ...]:
    return tuple(name for name, info in event.model_fields.items() if _marked(info.annotation, info.metadata))


def _marked(annotation: object, metadata: list[Any]) -> bool:
    if any(isinstance(mark, PersonalMark) for mark in metadata):
        return True
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_marked(part, list(getattr(part, "__metadata__", ()))) for part in typing.get_args(annotation))
    return False


def family_and_version(name: str) -> tuple[str, int]:
    """`ComplaintClosedV2` → ("complaint-closed", 2)."""
    base, version = re.fullmatch(r"(.+?)(?:V(\d+))?", name).groups()  # type: ignore[union-attr]
    return re.sub(r"(?<!^)(?=[A-Z])", "-", base).lower(), int(version or 1)


class Contract:
    """All events that one service publishes: the one place where its types are registered."""

    def __init__(self, source: str, *events: type[Event]) -> None:
        self.source = source
        self.by_type: dict[str, type[Event]] = {}
        self.type_of: dict[type[Event], str] = {}
        for event in events:
            name, version = family_and_version(event.__name__)
            kind = f"redress.{source}.{name}.v{version}"
            self.by_type[kind] = event
            self.type_of[event] = kind


def family(kind: str) -> str:
    """`redress.intake.complaint-registered.v1` → `redress.intake.complaint-registered`."""
    return kind.rpartition(".v")[0]
