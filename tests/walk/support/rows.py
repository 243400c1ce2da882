"""All that one service can come to know and do of a complaint: its states by number, each decided and folded once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cast import WORDS, Act, Service

from redress_events.event import Fact
from redress_spine.aggregate import Context, Refused
from redress_spine.store.states import Codec
from redress_spine.testing import COMPLAINT, NOON

LATE = NOON + timedelta(days=60)  # after every deadline of what began at NOON
PEOPLE = Context(now=NOON, actor="handler:alice", subject=COMPLAINT, roles=frozenset({"handler"}), words=WORDS)
CLOCK = replace(PEOPLE, now=LATE, passed=LATE)


@dataclass(frozen=True, slots=True)
class Step:
    """A decision: what was done, the facts, and the state after them, by their numbers."""

    act: Act
    facts: tuple[int, ...]
    row: int


@dataclass(slots=True)
class Facts:
    """Every fact that was ever decided, by number. Ids and times are abstracted away, so the same words are the same fact."""

    known: list[Fact] = field(default_factory=list)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def number(self, fact: Fact) -> int:
        key = (type(fact).__name__, fact.model_dump_json())
        if key not in self.numbers:
            self.numbers[key] = len(self.known)
            self.known.append(fact)
        return self.numbers[key]


class Rows:
    """The states of one service."""

    def __init__(self, service: Service, facts: Facts) -> None:
        self.service = service
        self.states: list[Any] = []
        self.written: list[tuple[str, str]] = []  # as they stand in the database: heard and done
        self._facts = facts
        self._codec = Codec(service.kind)
        self._numbers: dict[tuple[str, str], int] = {}
        self._steps: dict[int, list[Step]] = {}
        self._heard: dict[tuple[int, int, bool], int] = {}
        self._careless: dict[tuple[int, int, bool], bool] = {}

    def number(self, state: Any) -> int:
        state = self.service.same(state)
        key = (self._codec.dump_heard(state.heard), self._codec.dump_done(state.done))
        if key not in self._numbers:
            self._numbers[key] = len(self.states)
            self.states.append(state)
            self.written.append(key)
        return self._numbers[key]

    def did(self, row: int, facts: list[Fact]) -> int:
        state = self.states[row]
        done = state.done
        for fact in facts:
            done = self.service.kind.did(done, fact, NOON)
        return self.number(replace(state, done=done))

    def hear(self, row: int, fact: int, late: bool) -> int:
        """The row after one more fact was read. late: that was decided after the deadlines."""
        key = (row, fact, late)
        if key not in self._heard:
            state = self.states[row]
            heard = self.service.kind.hear(state.heard, self._facts.known[fact], LATE if late else NOON)
            self._heard[key] = self.number(replace(state, heard=heard))
        return self._heard[key]

    def steps(self, row: int) -> list[Step]:
        """All that may be done here. Asserts what holds of each row by itself: what is due is decided, and then due no more."""
        if row not in self._steps:
            state = self.states[row]
            self._steps[row] = [step for act in self.service.acts if act.due(state, LATE) and (step := self._step(row, act))]
            for act in self.service.acts:
                if act.work and not act.due(state, LATE) and act.name != "classify":  # that decider leaves it to its condition alone
                    assert not act.decide(state, _context(act)), f"{act.name} has something to say and is not due: {state}"
        return self._steps[row]

    def _step(self, row: int, act: Act) -> Step | None:
        try:
            facts = act.decide(self.states[row], _context(act))
        except Refused:
            assert act.work is None, f"{act.name} was due and refused: {self.states[row]}"
            return None
        if not facts:
            assert act.work is None, f"{act.name} is due for ever: {self.states[row]}"
            return None
        after = self.did(row, facts)
        assert after != row, f"{act.name} said something and changed nothing: {self.states[row]}"
        assert not (act.work and act.due(self.states[after], LATE)), f"{act.name} is due again after it was done: {self.states[row]}"
        return Step(act, tuple(self._facts.number(fact) for fact in facts), after)

    def careless(self, row: int, fact: int, late: bool) -> bool:
        """Reading this fact now or later makes no difference: nothing that the service may do until it has read it would be decided
        otherwise. So a walk may let it be read at once."""
        key = (row, fact, late)
        if key not in self._careless:
            after = self.hear(row, fact, late)
            unread = {(step.act.name, step.facts): step.row for step in self.steps(row)}
            known = {(step.act.name, step.facts) for step in self.steps(after)}
            self._careless[key] = unread.keys() == known and all(self.careless(each, fact, late) for each in unread.values())
        return self._careless[key]


def _context(act: Act) -> Context:
    return CLOCK if act.timed else PEOPLE
