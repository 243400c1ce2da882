"""A walk over the joint states of the services: every order in which they may read, decide and be told, each state met once.

A joint state is one row of each service and, before each, the events that it has not read. What two services' events do to one row does not
depend on their order (two facets), and an event is known to its own service at once: so nothing else is needed, no log and no offsets. Two
short cuts leave states out, and never a quiet one (`test_the_short_cuts_lose_no_quiet_state` compares):

- an event that makes no difference to what its reader may do (`Rows.careless`) is read at once;
- nobody who acts waits for sla-monitor, so it goes first where it has something to read. For this, its events wait before callback in a
lane of their own: callback may then read them even earlier than a log would let it, which adds states and hides none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from machines import CLEAR, Service
from rows import Events, Rows, Step

from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.intake import ComplaintRegistered
from redress_spine.testing import NOON

REGISTERED = ComplaintRegistered(number="7G2K-9QXR-4M", channel="hotline", kind="complaint", received_at=NOON, text=CLEAR)
INTAKE, TRIAGE, HANDLING, CALLBACK, MONITOR = range(5)
READERS = (INTAKE, TRIAGE, HANDLING, CALLBACK, MONITOR, CALLBACK)  # of each lane; the last is for what sla-monitor tells callback
TO_MONITOR, FROM_MONITOR = 4, 5
PASSES = "the deadlines pass"

Came = tuple[int, str, int]  # by which service, what it did, and with which event
Unread = tuple[tuple[int, bool], ...]  # an event's number, and whether it was decided after the deadlines: sla-monitor alone looks at that


class State(NamedTuple):
    """rows: of each service. lanes: what is not read yet, first come first. late: the deadlines of what began at first have passed."""

    rows: tuple[int, ...]
    lanes: tuple[Unread, ...]
    late: bool


class Walk:
    """passes: at any moment, once, the deadlines may pass. Without, sla-monitor's are never reached."""

    def __init__(self, services: Sequence[Service], *, passes: bool = False, short: bool = True) -> None:
        self.events = Events()
        self.rows = [Rows(service, self.events) for service in services]
        self.passes, self.short = passes, short
        self._lanes: dict[int, list[int]] = {}
        self._came: dict[State, tuple[Came, State] | None] = {}

    def run(self, most: int) -> Iterator[State]:
        """Each reachable state. Raises AssertionError beyond `most` of them."""
        first = self._first()
        self._came, to_visit = {first: None}, [first]
        while to_visit:
            state = to_visit.pop()
            yield state
            try:
                for came, each in self._following(state):
                    if each not in self._came:
                        self._came[each] = (came, state)
                        to_visit.append(each)
            except Exception as error:
                error.add_note("\n".join(["It came to this so:", *self.way_to(state)]))
                raise
            assert len(self._came) <= most, f"more than {most} states: limit what is new, or leave it to test_random_walks.py"

    @property
    def evolve(self) -> Counter[str]:
        """How often states followed from each act."""
        return Counter(came[0][1] for came in self._came.values() if came)

    def way_to(self, state: State) -> list[str]:
        """What happened before, in one of the orders that lead here; what made no difference is left out."""
        way: list[str] = []
        while (came := self._came[state]) is not None:
            (service, what, event), state = came
            who, said = self.rows[service].service.name, type(self.events.known[event]).__name__
            way.append(what if what == PASSES else f"{who}: {what} {said}")
        return way[::-1]

    def idle(self, state: State) -> bool:
        """All is read, and nothing is due."""
        return not any(state.lanes) and not any(step.act.automation and not self._waits(step, state) for _, step in self.steps(state))

    def steps(self, state: State) -> Iterator[tuple[int, Step]]:
        for service, row in enumerate(state.rows):
            for step in self.rows[service].steps(row):
                if state.late or step.act.name != "breach":
                    yield service, step

    def _following(self, state: State) -> Iterator[tuple[Came, State]]:
        """What may happen next, and what comes of it."""
        settled = state.late or not self.passes  # before, that time passes makes a difference to what sla-monitor reads next
        first = self.short and settled and state.lanes[TO_MONITOR]
        for lane, unread in enumerate(state.lanes):
            if unread and (not first or lane == TO_MONITOR):
                yield (READERS[lane], "reads", unread[0][0]), self._careless(self._read(state, lane))
        for service, step in self.steps(state):
            if not first or service == MONITOR:
                told = self._last_message(state, service, step.events, step.row)
                yield (service, step.act.name, step.events[0]), self._careless(told)
        if not settled:
            yield (MONITOR, PASSES, 0), self._careless(state._replace(late=True))

    def _waits(self, step: Step, state: State) -> bool:
        """A visit's waiting time may always last longer; a deadline that has passed may not be left unsaid."""
        return step.act.timed and not (step.act.name == "breach" and state.late)

    def _first(self) -> State:
        blank = [rows.number(rows.service.aggregate.state()) for rows in self.rows]
        registered = self.rows[INTAKE].evolve(blank[INTAKE], [REGISTERED])
        return self._careless(
            self._last_message(State(tuple(blank), ((),) * len(READERS), False), INTAKE, (self.events.number(REGISTERED),), registered)
        )

    def _last_message(self, state: State, by: int, events: tuple[int, ...], row: int) -> State:
        rows, lanes = list(state.rows), list(state.lanes)
        rows[by] = row
        for event in events:
            for lane in self._lanes_of(event):
                lanes[lane] = (*lanes[lane], (event, state.late and lane == TO_MONITOR))
        return State(tuple(rows), tuple(lanes), state.late)

    def _lanes_of(self, event: int) -> list[int]:
        if event not in self._lanes:
            what = self.events.known[event]
            lanes = (FROM_MONITOR,) if type(what) in SLA_MONITOR.type_of else range(FROM_MONITOR)
            self._lanes[event] = [lane for lane in lanes if self.rows[READERS[lane]].service.observes(what)]
        return self._lanes[event]

    def _read(self, state: State, lane: int) -> State:
        rows, lanes = list(state.rows), list(state.lanes)
        rows[READERS[lane]] = self.rows[READERS[lane]].observe(rows[READERS[lane]], *lanes[lane][0])
        lanes[lane] = lanes[lane][1:]
        return State(tuple(rows), tuple(lanes), state.late)

    def _careless(self, state: State) -> State:
        if not self.short:
            return state
        for lane, reader in enumerate(READERS):
            while state.lanes[lane] and self.rows[reader].careless(state.rows[reader], *state.lanes[lane][0]):
                state = self._read(state, lane)
        return state
