"""All that one service can come to know and do of a complaint: its states by number, each decided and folded once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from machines import WORDS, Act, Service

from redress_events.event import Event
from redress_spine.aggregate import CommandRejected, Context
from redress_spine.store.states import Codec
from redress_spine.testing import COMPLAINT, NOON

LATE = NOON + timedelta(days=60)  # after every deadline of what began at NOON
PEOPLE = Context(now=NOON, actor="handler:alice", subject=COMPLAINT, roles=frozenset({"handler"}), plaintext=WORDS)
CLOCK = replace(PEOPLE, now=LATE, passed=LATE)


@dataclass(frozen=True, slots=True)
class Step:
    """A decision: what was done, the events, and the state after them, by their numbers."""

    act: Act
    events: tuple[int, ...]
    row: int


@dataclass(slots=True)
class Events:
    """Every event that was ever decided, by number. Ids and times are abstracted away, so the same words are the same event."""

    known: list[Event] = field(default_factory=list)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def number(self, event: Event) -> int:
        key = (type(event).__name__, event.model_dump_json())
        if key not in self.numbers:
            self.numbers[key] = len(self.known)
            self.known.append(event)
        return self.numbers[key]


class Rows:
    """The states of one service."""

    def __init__(self, service: Service, events: Events) -> None:
        self.service = service
        self.states: list[Any] = []
        self.written: list[tuple[str, str]] = []  # as they stand in the database: observed and done
        self._events = events
        self._codec = Codec(service.aggregate)
        self._numbers: dict[tuple[str, str], int] = {}
        self._steps: dict[int, list[Step]] = {}
        self._observed: dict[tuple[int, int, bool], int] = {}
        self._careless: dict[tuple[int, int, bool], bool] = {}

    def number(self, state: Any) -> int:
        state = self.service.same(state)
        key = (self._codec.dump_observed(state.observed), self._codec.dump_own(state.own))
        if key not in self._numbers:
            self._numbers[key] = len(self.states)
            self.states.append(state)
            self.written.append(key)
        return self._numbers[key]

    def evolve(self, row: int, events: list[Event]) -> int:
        state = self.states[row]
        own = state.own
        for event in events:
            own = self.service.aggregate.evolve(own, event, NOON)
        return self.number(replace(state, own=own))

    def observe(self, row: int, event: int, late: bool) -> int:
        """The row after one more event was read. late: that was decided after the deadlines."""
        key = (row, event, late)
        if key not in self._observed:
            state = self.states[row]
            observed = self.service.aggregate.observe(state.observed, self._events.known[event], LATE if late else NOON)
            self._observed[key] = self.number(replace(state, observed=observed))
        return self._observed[key]

    def steps(self, row: int) -> list[Step]:
        """All that may be done here. Asserts what holds of each row by itself: what is due is decided, and then due no more."""
        if row not in self._steps:
            state = self.states[row]
            self._steps[row] = [step for act in self.service.acts if act.due(state, LATE) and (step := self._step(row, act))]
            for act in self.service.acts:
                if act.automation and not act.due(state, LATE) and act.name != "classify":  # that decider leaves it to its condition alone
                    assert not act.decide(state, _context(act)), f"{act.name} has something to say and is not due: {state}"
        return self._steps[row]

    def _step(self, row: int, act: Act) -> Step | None:
        try:
            events = act.decide(self.states[row], _context(act))
        except CommandRejected:
            assert act.automation is None, f"{act.name} was due and refused: {self.states[row]}"
            return None
        if not events:
            assert act.automation is None, f"{act.name} is due for ever: {self.states[row]}"
            return None
        after = self.evolve(row, events)
        assert after != row, f"{act.name} said something and changed nothing: {self.states[row]}"
        assert not (act.automation and act.due(self.states[after], LATE)), f"{act.name} is due again after it was done: {self.states[row]}"
        return Step(act, tuple(self._events.number(event) for event in events), after)

    def careless(self, row: int, event: int, late: bool) -> bool:
        """Reading this event now or later makes no difference: nothing that the service may do until it has read it would be decided
        otherwise. So a walk may let it be read at once."""
        key = (row, event, late)
        if key not in self._careless:
            after = self.observe(row, event, late)
            unread = {(step.act.name, step.events): step.row for step in self.steps(row)}
            known = {(step.act.name, step.events) for step in self.steps(after)}
            self._careless[key] = unread.keys() == known and all(self.careless(each, event, late) for each in unread.values())
        return self._careless[key]


def _context(act: Act) -> Context:
    return CLOCK if act.timed else PEOPLE
