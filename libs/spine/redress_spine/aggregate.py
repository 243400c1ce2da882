"""How a service describes its part of a subject to the spine: what is folded, what is decided by itself, and what a decider may know.

Nothing here imports a web framework, a database or a broker: domain code builds on this module alone.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from redress_events.event import Fact

KEYS = "complaints.keys.v1"


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
