"""One way through the services, step by step: one log, a place on it for each of them, and a clock that goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from machines import WORDS, Act, Service
from promises import Joint

from redress_events.contracts.intake import ComplaintRegistered
from redress_events.event import Event
from redress_spine.aggregate import CommandRejected, Context
from redress_spine.testing import COMPLAINT, NOON

LAST = timedelta(days=400)  # after every deadline that a journey can have


@dataclass(frozen=True, slots=True)
class Move:
    """What may happen next: this service reads its next record, or does this."""

    service: int
    act: Act | None = None


@dataclass(slots=True)
class Journey:
    services: Sequence[Service]
    text: str
    now: datetime = NOON
    log: list[tuple[int, Event, datetime]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    evolve: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = [0 for _ in self.services]
        self.states = [service.aggregate.state() for service in self.services]
        self._say(0, [ComplaintRegistered(number="7G2K-9QXR-4M", channel="web", kind="complaint", received_at=NOON, text=self.text)])

    @property
    def joint(self) -> Joint:
        return Joint.of(self.states)

    def moves(self) -> list[Move]:
        """What is to be read, what is due, and what people may try: of theirs something may be refused."""
        return [*self._reads(), *(Move(n, act) for n, act in self._acts())]

    def make(self, move: Move) -> bool:
        """False where it was refused, or said twice."""
        if move.act is None:
            self._read(move.service)
            return True
        events = self._decided(move.service, move.act, self.now)
        if not events:
            return False
        self.told.append(f"{self.services[move.service].name}: {move.act.name}")
        self.evolve.append(move.act.name)
        self._say(move.service, events)
        again = move.act.automation and move.act.due(self.states[move.service], self.now)
        assert not again, f"{move.act.name} is due again after it was done"
        return True

    def pause(self, length: timedelta) -> None:
        self.now += length

    def can(self, name: str) -> bool:
        n, act, when = self._named(name)
        return act.may(self.states[n]) and bool(self._decided(n, act, when))

    def do(self, name: str) -> None:
        """The act of this name; timed automations as soon as it is due."""
        n, act, self.now = self._named(name)
        assert self.make(Move(n, act)), f"{name} was owed, and refused"

    def _named(self, name: str) -> tuple[int, Act, datetime]:
        n, act = next((n, act) for n, service in enumerate(self.services) for act in service.acts if act.name == name)
        when = act.at(self.states[n]) if act.at and act.may(self.states[n]) else self.now
        return n, act, max(self.now, when)

    def read_all(self, name: str) -> None:
        """This service reads what is on the log, and nothing else happens."""
        n = next(n for n, service in enumerate(self.services) if service.name == name)
        while self.places[n] < len(self.log):
            self._read(n)

    def settle(self) -> None:
        """All is read and what is due is decided, until nothing is left."""
        for _ in range(1000):
            move = next(self._left(), None)
            if move is None:
                return
            self.make(move)
        raise AssertionError("there is always something left to do by itself")

    def _left(self) -> Iterator[Move]:
        yield from self._reads()
        yield from (Move(n, act) for n, act in self._acts() if act.automation)

    def _reads(self) -> list[Move]:
        return [Move(n) for n, place in enumerate(self.places) if place < len(self.log)]

    def _acts(self) -> Iterator[tuple[int, Act]]:
        for n, service in enumerate(self.services):
            yield from ((n, act) for act in service.acts if act.due(self.states[n], self.now))

    def _decided(self, n: int, act: Act, when: datetime) -> list[Event]:
        context = Context(now=when, actor="handler:alice", subject=COMPLAINT, roles=frozenset({"handler"}), plaintext=WORDS)
        try:
            events = act.decide(self.states[n], replace(context, passed=when) if act.timed else context)
        except CommandRejected:
            assert act.automation is None, f"{act.name} was due and refused"
            return []
        assert events or act.automation is None, f"{act.name} is due for ever"
        return events

    def _say(self, n: int, events: list[Event]) -> None:
        own = self.states[n].own
        for event in events:
            own = self.services[n].aggregate.evolve(own, event, self.now)
            self.log.append((n, event, self.now))
        self.states[n] = replace(self.states[n], own=own)

    def _read(self, n: int) -> None:
        """The next record that concerns it."""
        service = self.services[n]
        while self.places[n] < len(self.log):
            _, event, at = self.log[self.places[n]]
            self.places[n] += 1
            if service.observes(event):
                self.told.append(f"{service.name}: reads {type(event).__name__}")
                self.states[n] = replace(self.states[n], observed=service.aggregate.observe(self.states[n].observed, event, at))
                return
