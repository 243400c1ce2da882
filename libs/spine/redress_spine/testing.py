"""Given / when / then for deciders, and a law that every fold must keep: the order between other services' events does not matter.

handling = Spec(HANDLING, AGGREGATE, {Accept: accept, Resolve: resolve})

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

from redress_events.event import Contract, Event
from redress_spine.aggregate import Aggregate, Automation, CommandRejected, Table
from redress_spine.aggregate import Context as Context
from redress_spine.processing.projections import counted, rows_of
from redress_spine.processing.reactor import Effect, Reactor
from redress_spine.store.entries import Latest, Listed

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
COMPLAINT = "complaint/01890000-0000-7000-8000-000000000001"

# An event, or an event with the time at which it was decided.
Happened = Event | tuple[Event, datetime]


def folded(contract: Contract, aggregate: Aggregate, happened: Sequence[Happened]) -> Any:
    """The state after these events in this order: own ones by `evolve`, foreign ones that the service observes by `observe`."""
    observed_type, own_type = aggregate.facets
    observed, own = observed_type(), own_type()
    for item in happened:
        event, at = item if isinstance(item, tuple) else (item, NOON)
        if type(event) in contract.type_of:
            own = aggregate.evolve(own, event, at)
        elif type(event) in aggregate.observes:
            observed = aggregate.observe(observed, event, at)
    return aggregate.state(observed=observed, own=own)


def listed(contract: Contract, aggregate: Aggregate, happened: Sequence[Happened]) -> Mapping[str, Latest]:
    """All entries that these events make, by list, the newest first. Sources are named by their events' module."""
    found: dict[str, list[Listed]] = defaultdict(list)
    versions: Counter[str] = Counter()
    for item in happened:
        event, at = item if isinstance(item, tuple) else (item, NOON)
        if type(event) not in contract.type_of and type(event) not in aggregate.observes:
            continue
        source = type(event).__module__.rpartition(".")[2]
        versions[source] += 1
        if (entry := aggregate.entries(event, at)) is not None:
            found[entry.list].append(Listed(source, versions[source], entry.at or at, entry.data))
    newest = {name: Latest(sorted(entries, key=lambda each: each.place, reverse=True)) for name, entries in found.items()}
    return defaultdict(Latest, newest)


def where_order_matters(contract: Contract, aggregate: Aggregate, log: Sequence[tuple[str, Event, datetime]]) -> str | None:
    """The first two events of different sources that make another `observed` when they come the other way round, in a message; None where
    no order that keeps each source's own makes a difference.

    log: one subject's events as (source, event, time), each source's in its order. A log restored after a loss may have any such order. All
    of them are tried, not some: they are the ways through a lattice whose points are how much of each source was observed, so whatever way
    leads to a point, it must have the same `observed`. Takes (events + 1) of each observed source, multiplied, times their number.
    """
    observed_by_source: dict[str, list[tuple[Event, datetime]]] = {}
    for source, event, at in log:
        if type(event) in aggregate.observes and type(event) not in contract.type_of:
            observed_by_source.setdefault(source, []).append((event, at))
    sources = list(observed_by_source.items())
    level: dict[tuple[int, ...], Any] = {(0,) * len(sources): aggregate.facets[0]()}
    while level:
        following: dict[tuple[int, ...], tuple[Any, int]] = {}
        for point, observed in level.items():
            for n, (_, events) in enumerate(sources):
                if point[n] == len(events):
                    continue
                after = aggregate.observe(observed, *events[point[n]])
                there = (*point[:n], point[n] + 1, *point[n + 1 :])
                known, by = following.setdefault(there, (after, n))
                if known != after:
                    names = [f"{type(sources[s][1][there[s] - 1][0]).__name__} ({sources[s][0]})" for s in (by, n)]
                    other = [each.name for each in fields(known) if getattr(known, each.name) != getattr(after, each.name)]
                    return (
                        f"It matters which comes first, {' or '.join(names)}: to {', '.join(other)}. At {there} of {[*observed_by_source]}."
                    )
        level = {point: observed for point, (observed, _) in following.items()}
    return None


@dataclass(frozen=True)
class Spec:
    """One service's contract, fold and deciders, for the tests of its domain."""

    contract: Contract
    aggregate: Aggregate
    deciders: Mapping[type[Any], Callable[[Any, Any, Context], list[Event]]] = field(default_factory=dict)

    def given(self, *happened: Happened) -> StorySoFar:
        return StorySoFar(self, happened, Context(now=NOON, actor="tester", subject=COMPLAINT, entropy=bytes(range(16))))


@dataclass(frozen=True)
class StorySoFar:
    """A story so far, and who looks at it when."""

    spec: Spec
    happened: tuple[Happened, ...]
    context: Context

    def at(self, now: datetime) -> StorySoFar:
        return replace(self, context=replace(self.context, now=now))

    def by(self, actor: str, *roles: str, department: str | None = None) -> StorySoFar:
        return replace(self, context=replace(self.context, actor=actor, roles=frozenset(roles), department=department))

    def knowing(self, words: Mapping[str, str]) -> StorySoFar:
        return replace(self, context=replace(self.context, plaintext=words))

    def read_to(self, passed: datetime) -> StorySoFar:
        """For timed automations: the log was read up to this instant and no further."""
        return replace(self, context=replace(self.context, passed=passed))

    @property
    def state(self) -> Any:
        return folded(self.spec.contract, self.spec.aggregate, self.happened)

    def shows(self, table: Table) -> list[dict[str, Any]]:
        """The rows that these events leave in a projection's table, in the order of their keys."""
        state = self.state
        rows = rows_of(self.spec.aggregate, (state.observed, state.own))[table]
        return [dict(zip(table.columns, rows[key], strict=True)) for key in sorted(rows)]

    def counts(self, name: str) -> set[str]:
        """Under which names of this count the subject counts."""
        state = self.state
        return {key for each, key in counted(self.spec.aggregate, (state.observed, state.own)) if each == name}

    def when(self, command: Any) -> Decision:
        decider = self.spec.deciders[type(command)]
        return self._decided(lambda: decider(self.state, command, self.context))

    def when_due(self, automation: Automation) -> Decision:
        """What the automation loop would decide on this row. That the row is due is SQL, and the integration tests' affair."""
        return self._decided(lambda: automation.decide(self.state, self.context))

    def wants(self, reactor: Reactor, *expected: Effect, known: Any = None) -> StorySoFar:
        """These effects, and no others. known: what its `look` reads beside the state. That the row is due is SQL, as with `when_due`."""
        assert reactor.wanted(self.state, known, self.context) == list(expected)
        return self

    def still_wants(self, reactor: Reactor, effect: Effect) -> bool:
        """Whether it would be done, were it its turn now."""
        return reactor.still(self.state, effect)

    def when_done(self, reactor: Reactor, effect: Effect, **result: Any) -> Decision:
        """What is said once this effect was done, with this result."""
        own = reactor.succeeded
        assert own is not None, "its result stays in the row of the effect"
        return self._decided(lambda: own(self.state, effect, result, self.context))

    def when_given_up(self, reactor: Reactor, effect: Effect, code: str = "tried-too-long") -> Decision:
        """What is said once it was given up."""
        given_up = reactor.given_up
        assert given_up is not None, "it is given up in silence"
        return self._decided(lambda: given_up(self.state, effect, code, self.context))

    def _decided(self, run: Callable[[], list[Event]]) -> Decision:
        try:
            return Decision(self, run(), None)
        except CommandRejected as refusal:
            return Decision(self, [], refusal)


@dataclass(frozen=True)
class Decision:
    """What a decision came to."""

    story: StorySoFar
    events: list[Event]
    refusal: CommandRejected | None

    def then(self, *expected: Event) -> Self:
        assert self.refusal is None, f"refused as {self.refusal.code}: {self.refusal.message}"
        assert self.events == list(expected)
        return self

    def then_nothing(self) -> Self:
        return self.then()

    def refused(self, code: str) -> Self:
        assert self.refusal is not None, f"not refused, but decided {self.events}"
        assert self.refusal.code == code, f"refused as {self.refusal.code}, expected {code}"
        return self

    @property
    def after(self) -> StorySoFar:
        """The story with these events in it."""
        return replace(self.story, happened=(*self.story.happened, *((event, self.story.context.now) for event in self.events)))
