"""What a fact is: a frozen model that a service publishes, its place on the log, and which of its fields are personal.

Nothing here imports a web framework, a database or a broker: domain code builds on this module alone.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

LIFECYCLE = "complaints.lifecycle.v1"
CLOSED = "complaints.closed.v1"
KEYS = "complaints.keys.v1"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=2)  # a client's clock may be so far from ours, ahead or behind


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


# An instant in a fact: RFC 3339 text in UTC.
UtcTime = Annotated[AwareDatetime, AfterValidator(to_utc)]
# An instant in a state (Heard, Done): epoch microseconds in jsonb, an aware datetime in Python.
Instant = Annotated[datetime, BeforeValidator(from_micros), PlainSerializer(micros, return_type=int)]


class PersonalMark:
    """Marks a field that is sealed before it reaches the journal."""


# Clear text while deciding; on the log `sealed:1:…`; in a fold the reference `<source>/<version>/<field>` under which the vault opens it.
Personal = Annotated[str, PersonalMark(), WithJsonSchema({"type": "string", "pattern": "^sealed:1:", "x-personal": True})]


class Fact(BaseModel):
    """Something that happened, in the past tense. A published type only gains optional fields; a new meaning is a new `V2` class."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    topic: ClassVar[str] = LIFECYCLE
    stream: ClassVar[str] = "complaint"  # kind of the stream it stands in; the id part is always the decided subject's
    decided_on: ClassVar[str] = "complaint"  # kind of the subject whose `did` folds it

    @classmethod
    def personal_fields(cls) -> tuple[str, ...]:
        """Names of the fields that carry personal data, in order of declaration."""
        return _personal_fields(cls)


@cache
def _personal_fields(fact: type[Fact]) -> tuple[str, ...]:
    return tuple(name for name, info in fact.model_fields.items() if _marked(info.annotation, info.metadata))


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
    """All facts that one service publishes: the one place where its types are registered."""

    def __init__(self, source: str, *facts: type[Fact]) -> None:
        self.source = source
        self.by_type: dict[str, type[Fact]] = {}
        self.type_of: dict[type[Fact], str] = {}
        for fact in facts:
            name, version = family_and_version(fact.__name__)
            kind = f"redress.{source}.{name}.v{version}"
            self.by_type[kind] = fact
            self.type_of[fact] = kind


def family(kind: str) -> str:
    """`redress.intake.complaint-registered.v1` → `redress.intake.complaint-registered`."""
    return kind.rpartition(".v")[0]


class Refused(Exception):
    """A command that the domain does not allow now. `code` is stable and for programs, `sentence` for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Context:
    """All that a decider may know beside state and command.

    now: aware UTC, from the clock port. actor: who decides (`handler:alice`, `rules@telecom-1`, `timer`). subject: `complaint/<uuid>`.
    chance: 16 fresh random bytes. words: opened personal fields by their reference; a forgotten one is missing.
    passed: timed work alone: the instant up to which the log was read. A deadline after it is not judged yet, even if it lies before `now`.
    """

    now: datetime
    actor: str
    subject: str = ""
    roles: frozenset[str] = frozenset()
    department: str | None = None
    chance: bytes = b""
    words: Mapping[str, str] = field(default_factory=dict)
    passed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a fact adds to one of a subject's lists. data: becomes JSON; words in it are references. at: its place in the list, where that
    is not the fact's time. A list holds facts that stand in the subject's own stream."""

    list: str
    data: Mapping[str, Any]
    at: datetime | None = None


def _no_entry(fact: Any, at: datetime) -> Entry | None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table that a service's migration makes, with a column `subject` beside these. columns: their names and PostgreSQL types.
    key: those that, with the subject, tell its rows apart; none where a subject has one row at most."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Rows that say what a subject's state means to a list, a search or a board. They are written with the state, in one transaction.

    rows(state): all rows of the subject, each with a value for every column; of a subject of which nothing is known, none. It looks at
    nothing but the state, so in whatever order services are heard, equal states have equal rows.
    heard, done: the fields of each that `rows` looks at; the others have their defaults there. What changes none of them changes no row,
    and a command that changes none of `done` conflicts with nothing that is heard meanwhile.
    """

    table: Table
    rows: Callable[[Any], Iterable[tuple[Any, ...]]]
    heard: tuple[str, ...] = ()
    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """How many subjects are what. of(state): the names under which this subject counts now, each once; heard, done: as in a
    `Projection`."""

    name: str
    of: Callable[[Any], Iterable[str]]
    heard: tuple[str, ...] = ()
    done: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """How one kind of subject is folded in one service.

    state: a frozen dataclass with the fields `heard` and `done`, each a frozen dataclass with defaults for everything.
    hear(heard, fact, at) folds other services' facts, did(done, fact, at) the service's own; `at` is the fact's `time`.
    hears: the foreign types that `hear` reads. All others are counted for their chain and otherwise ignored.
    entries(fact, at): what a fact, own or heard, adds to a list that grows with the history, and so has no place in the state.
    begun_here: whether the first fact of each such subject is this service's own. Who has no row here then does not exist; elsewhere it may
    be on its way.
    projections: tables and counts that are made of the state.
    lookups: by which personal fields of its own facts a subject is found, each with its normal form (None: nothing to be found by).
    """

    state: type[Any]
    hear: Callable[[Any, Any, datetime], Any]
    did: Callable[[Any, Any, datetime], Any]
    hears: tuple[type[Fact], ...] = ()
    entries: Callable[[Any, datetime], Entry | None] = _no_entry
    begun_here: bool = False
    projections: tuple[Projection | Count, ...] = ()
    lookups: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)

    @property
    def facets(self) -> tuple[type[Any], type[Any]]:
        return _facets(typing.cast(Hashable, self.state))


@cache
def _facets(state: Any) -> tuple[type[Any], type[Any]]:
    hints = typing.get_type_hints(state)
    return hints["heard"], hints["done"]


@dataclass(frozen=True, slots=True)
class Work:
    """Work that no person asks for: whatever row satisfies `due` is decided, again and again, until it no longer does.

    due: a SQL condition on columns of the state, and of `table` where the work has one: a projection's with one row for each subject.
    index: the partial index that serves it.
    at: the bigint column (epoch microseconds) of timed work: a row is due once it passed *and* the log was read past it.
    decide(state, context) → at least one fact, after which the row is not due.
    opens(state): references of personal fields that the decider needs in `context.words`.
    """

    name: str
    due: str
    decide: Callable[[Any, Context], list[Fact]]
    index: str
    at: str | None = None
    opens: Callable[[Any], list[str]] | None = None
    actor: str = "timer"
    table: Table | None = None

    @property
    def rows(self) -> str:
        """What `due` and `at` are columns of, in SQL."""
        return f"(state JOIN {self.table.name} USING (subject))" if self.table else "state"


Channel = Literal["hotline", "chat", "e-mail", "shop", "web", "app", "sms", "fax", "social-media", "account-manager"]
ContactKind = Literal["complaint", "fault-report", "consultation", "suggestion"]
