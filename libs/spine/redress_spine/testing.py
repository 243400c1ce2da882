"""Given / when / then for deciders, and a law that every fold must keep: the order between other services' facts does not matter.

handling = Spec(HANDLING, KIND, {Accept: accept, Resolve: resolve})

def test_nobody_resolves_a_case_behind_the_customers_back():
    handling.given(routed(), accepted()).when(Resolve(...)).refused("customer-not-contacted")

def test_an_accepted_case_is_in_its_departments_list():
    assert handling.given(routed(), opened(), accepted()).shows(CASES) == [{"department": "technical_support", "stage": "accepted", ...}]
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

from redress_events.event import Contract, Fact
from redress_spine.aggregate import Context as Context
from redress_spine.aggregate import Kind, Refused, Table, Work
from redress_spine.processing.projections import counted, rows_of
from redress_spine.store.entries import Latest, Listed

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
COMPLAINT = "complaint/01890000-0000-7000-8000-000000000001"

# A fact, or a fact with the time at which it was decided.
Happened = Fact | tuple[Fact, datetime]


def folded(contract: Contract, kind: Kind, happened: Sequence[Happened]) -> Any:
    """The state after these facts in this order: own ones by `did`, foreign ones that the service hears by `hear`."""
    heard_type, done_type = kind.facets
    heard, done = heard_type(), done_type()
    for item in happened:
        fact, at = item if isinstance(item, tuple) else (item, NOON)
        if type(fact) in contract.type_of:
            done = kind.did(done, fact, at)
        elif type(fact) in kind.hears:
            heard = kind.hear(heard, fact, at)
    return kind.state(heard=heard, done=done)


def listed(contract: Contract, kind: Kind, happened: Sequence[Happened]) -> Mapping[str, Latest]:
    """All entries that these facts make, by list, the newest first. Sources are named by their facts' module."""
    found: dict[str, list[Listed]] = defaultdict(list)
    versions: Counter[str] = Counter()
    for item in happened:
        fact, at = item if isinstance(item, tuple) else (item, NOON)
        if type(fact) not in contract.type_of and type(fact) not in kind.hears:
            continue
        source = type(fact).__module__.rpartition(".")[2]
        versions[source] += 1
        if (entry := kind.entries(fact, at)) is not None:
            found[entry.list].append(Listed(source, versions[source], entry.at or at, entry.data))
    newest = {name: Latest(sorted(entries, key=lambda each: each.place, reverse=True)) for name, entries in found.items()}
    return defaultdict(Latest, newest)


def where_order_matters(contract: Contract, kind: Kind, log: Sequence[tuple[str, Fact, datetime]]) -> str | None:
    """The first two facts of different sources that make another `heard` when they come the other way round, in a sentence; None where
    no order that keeps each source's own makes a difference.

    log: one subject's facts as (source, fact, time), each source's in its order. A log restored after a loss may have any such order. All
    of them are tried, not some: they are the ways through a lattice whose points are how much of each source was heard, so whatever way
    leads to a point, it must have the same `heard`. Takes (facts + 1) of each heard source, multiplied, times their number.
    """
    heard_by_source: dict[str, list[tuple[Fact, datetime]]] = {}
    for source, fact, at in log:
        if type(fact) in kind.hears and type(fact) not in contract.type_of:
            heard_by_source.setdefault(source, []).append((fact, at))
    sources = list(heard_by_source.items())
    level: dict[tuple[int, ...], Any] = {(0,) * len(sources): kind.facets[0]()}
    while level:
        following: dict[tuple[int, ...], tuple[Any, int]] = {}
        for point, heard in level.items():
            for n, (_, facts) in enumerate(sources):
                if point[n] == len(facts):
                    continue
                after = kind.hear(heard, *facts[point[n]])
                there = (*point[:n], point[n] + 1, *point[n + 1 :])
                known, by = following.setdefault(there, (after, n))
                if known != after:
                    names = [f"{type(sources[s][1][there[s] - 1][0]).__name__} ({sources[s][0]})" for s in (by, n)]
                    other = [each.name for each in fields(known) if getattr(known, each.name) != getattr(after, each.name)]
                    return f"It matters which comes first, {' or '.join(names)}: to {', '.join(other)}. At {there} of {[*heard_by_source]}."
        level = {point: heard for point, (heard, _) in following.items()}
    return None


@dataclass(frozen=True)
class Spec:
    """One service's contract, fold and deciders, for the tests of its domain."""

    contract: Contract
    kind: Kind
    deciders: Mapping[type[Any], Callable[[Any, Any, Context], list[Fact]]] = field(default_factory=dict)

    def given(self, *happened: Happened) -> Case:
        return Case(self, happened, Context(now=NOON, actor="tester", subject=COMPLAINT, chance=bytes(range(16))))


@dataclass(frozen=True)
class Case:
    """A story so far, and who looks at it when."""

    spec: Spec
    happened: tuple[Happened, ...]
    context: Context

    def at(self, now: datetime) -> Case:
        return replace(self, context=replace(self.context, now=now))

    def by(self, actor: str, *roles: str, department: str | None = None) -> Case:
        return replace(self, context=replace(self.context, actor=actor, roles=frozenset(roles), department=department))

    def knowing(self, words: Mapping[str, str]) -> Case:
        return replace(self, context=replace(self.context, words=words))

    def read_to(self, passed: datetime) -> Case:
        """For timed work: the log was read up to this instant and no further."""
        return replace(self, context=replace(self.context, passed=passed))

    @property
    def state(self) -> Any:
        return folded(self.spec.contract, self.spec.kind, self.happened)

    def shows(self, table: Table) -> list[dict[str, Any]]:
        """The rows that these events leave in a projection's table, in the order of their keys."""
        state = self.state
        rows = rows_of(self.spec.kind, (state.heard, state.done))[table]
        return [dict(zip(table.columns, rows[key], strict=True)) for key in sorted(rows)]

    def counts(self, name: str) -> set[str]:
        """Under which names of this count the subject counts."""
        state = self.state
        return {key for each, key in counted(self.spec.kind, (state.heard, state.done)) if each == name}

    def when(self, command: Any) -> Outcome:
        decider = self.spec.deciders[type(command)]
        return self._decided(lambda: decider(self.state, command, self.context))

    def when_due(self, work: Work) -> Outcome:
        """What the work loop would decide on this row. That the row is due is SQL, and the integration tests' affair."""
        return self._decided(lambda: work.decide(self.state, self.context))

    def _decided(self, run: Callable[[], list[Fact]]) -> Outcome:
        try:
            return Outcome(self, run(), None)
        except Refused as refusal:
            return Outcome(self, [], refusal)


@dataclass(frozen=True)
class Outcome:
    """What a decision came to."""

    case: Case
    facts: list[Fact]
    refusal: Refused | None

    def then(self, *expected: Fact) -> Self:
        assert self.refusal is None, f"refused as {self.refusal.code}: {self.refusal.sentence}"
        assert self.facts == list(expected)
        return self

    def then_nothing(self) -> Self:
        return self.then()

    def refused(self, code: str) -> Self:
        assert self.refusal is not None, f"not refused, but decided {self.facts}"
        assert self.refusal.code == code, f"refused as {self.refusal.code}, expected {code}"
        return self

    @property
    def after(self) -> Case:
        """The story with these facts in it."""
        return replace(self.case, happened=(*self.case.happened, *((fact, self.case.context.now) for fact in self.facts)))
