"""How a service describes its part of a subject to the spine: what is folded, what is decided by itself, and what a decider may know.

Nothing here imports a web framework, a database or a broker: domain code builds on this module alone.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from redress_events.event import Contract, Event
from redress_spine.messaging.mac import NO_KEYS, MacKeys


class CommandRejected(Exception):
    """A command that the domain does not allow now. `code` is stable and for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Context:
    """All that a decider may know beside state and command.

    now: aware UTC, from the clock port. actor: who decides (`handler:alice`, `rules@telecom-1`, `timer`). subject: `<kind>/<uuid>`.
    entropy: 16 fresh random bytes. words: opened personal fields by their reference; a forgotten one is missing.
    passed: timed automations alone: the instant up to which the log was read. A deadline after it is not judged yet, even if it lies
    before `now`.
    """

    now: datetime
    actor: str
    subject: str = ""
    roles: frozenset[str] = frozenset()
    department: str | None = None
    entropy: bytes = b""
    plaintext: Mapping[str, str] = field(default_factory=dict)
    passed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event adds to one of a subject's lists. data: becomes JSON; words in it are references. at: its place in the list, where that
    is not the event's time. A list holds events that stand in the subject's own stream."""

    list: str
    data: Mapping[str, Any]
    at: datetime | None = None


def _no_entry(event: Any, at: datetime) -> Entry | None:
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
    nothing but the state, so in whatever order services are observed, equal states have equal rows.
    observed, own: the fields of each that `rows` looks at; the others have their defaults there. What changes none of them changes no row,
    and a command that changes none of `own` conflicts with nothing that is observed meanwhile.
    """

    table: Table
    rows: Callable[[Any], Iterable[tuple[Any, ...]]]
    observed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """How many subjects are what. of(state): the names under which this subject counts now, each once; observed, own: as in a
    `Projection`."""

    name: str
    of: Callable[[Any], Iterable[str]]
    observed: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """How one kind of subject is folded in one service.

    state: a frozen dataclass with the fields `observed` and `own`, each a frozen dataclass with defaults for everything.
    observe(observed, event, at) folds other services' events, evolve(own, event, at) the service's own; `at` is the event's `time`.
    observes: the foreign types that `observe` reads. All others are counted for their chain and otherwise ignored.
    entries(event, at): what an event, own or observed, adds to a list that grows with the history, and so has no place in the state.
    begun_here: whether the first event of each such subject is this service's own. Who has no row here then does not exist; elsewhere it
    may be on its way.
    projections: tables and counts that are made of the state.
    lookups: by which personal fields of its own events a subject is found, each with its normal form (None: nothing to be found by).
    unique: those of them whose value no two subjects have.
    """

    state: type[Any]
    observe: Callable[[Any, Any, datetime], Any]
    evolve: Callable[[Any, Any, datetime], Any]
    observes: tuple[type[Event], ...] = ()
    entries: Callable[[Any, datetime], Entry | None] = _no_entry
    begun_here: bool = False
    projections: tuple[Projection | Count, ...] = ()
    lookups: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    unique: frozenset[str] = frozenset()

    @property
    def facets(self) -> tuple[type[Any], type[Any]]:
        return _facets(typing.cast(Hashable, self.state))


@cache
def _facets(state: Any) -> tuple[type[Any], type[Any]]:
    hints = typing.get_type_hints(state)
    return hints["observed"], hints["own"]


@dataclass(frozen=True, slots=True)
class Automation:
    """What no person asks for: whatever row is due is decided, again and again, until it no longer is.

    table: a projection's, with one row for each subject.
    due: one of its columns: true, or not null where it is no boolean, while the row is due. Without a table, a SQL condition on columns of
    the state.
    index: the partial index that serves it.
    at: the bigint column (epoch microseconds) of timed automations: a row is due once it passed *and* the log was read past it.
    decide(state, context) → at least one event, after which the row is not due.
    opens(state): references of personal fields that the decider needs in `context.words`.
    urgent: other services wait for what it decides. Where nothing urgent comes, a service under load reads more at a time, and later.
    """

    name: str
    due: str
    decide: Callable[[Any, Context], list[Event]]
    index: str
    at: str | None = None
    opens: Callable[[Any], list[str]] | None = None
    actor: str = "timer"
    table: Table | None = None
    urgent: bool = True

    def __post_init__(self) -> None:
        if self.table and (unknown := {self.due, self.at or self.due} - self.table.columns.keys()):
            raise ValueError(f"{self.name}: {self.table.name} has no column {', '.join(sorted(unknown))}.")

    @property
    def rows(self) -> str:
        """Where it looks for due rows, in SQL: `s` is the state. A table's rows come first and each one's state behind it, also in a plan
        that was made while both were empty and looked alike."""
        if self.table is None:
            return "state s"
        return f"{self.table.name} d CROSS JOIN LATERAL (SELECT * FROM state s WHERE s.subject = d.subject OFFSET 0) s"

    @property
    def condition(self) -> str:
        """When a row is due, in SQL."""
        if self.table is None:
            return self.due
        return f"d.{self.due}" if self._is_flag(self.table) else f"d.{self.due} IS NOT NULL"

    @property
    def subject(self) -> str:
        """Whose a row is, in SQL: the column that its index has."""
        return f"{'d' if self.table else 's'}.subject"

    @property
    def time(self) -> str:
        """The column `at`, in SQL."""
        return f"{'d' if self.table else 's'}.{self.at}"

    def made_due(self, came: Mapping[Table, Sequence[tuple[Any, ...]]]) -> bool:
        """Whether a row of these is due by itself; without a table nobody can tell. came: new rows, each behind its subject."""
        if self.table is None:
            return True
        place = 1 + list(self.table.columns).index(self.due)
        return any(row[place] is not None and row[place] is not False for row in came.get(self.table, ()))

    def _is_flag(self, table: Table) -> bool:
        return table.columns[self.due] == "boolean"


@dataclass(frozen=True, slots=True)
class Verified:
    """What `redress verify` and `redress rebuild` need to know of a service. mac: the keys by which records prove their source; without
    them none does."""

    source: str
    aggregates: Mapping[str, Aggregate]
    contract: Contract
    contracts: Mapping[str, Contract]
    partitions: int = 12
    topic_prefix: str = ""
    mac: MacKeys = NO_KEYS
