"""One order of several journals: an event behind its cause and behind its own predecessor, and else by time. Pure.

Each journal comes in its own order, and the earliest of their next events goes first. One whose cause has not gone yet waits for it, with
all later events of its stream; so only what is out of the order of time, by a clock that was wrong or a journal that was adopted, is held
in memory. Nothing waits forever: `rest` gives what is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from typing import Any

JournalPlace = tuple[int, int]  # transaction and position in a journal


@dataclass(frozen=True, slots=True)
class Journaled:
    """An event in its journal. rank: of its source, among events of one time. cause: id, source and place of the event that it was decided
    upon, None where there is none to wait for. row: what is sent."""

    id: str
    source: str
    rank: int
    stream: str
    place: JournalPlace
    time: datetime
    cause: tuple[str, str, JournalPlace] | None
    row: Any = None

    @property
    def order(self) -> tuple[datetime, int, JournalPlace]:
        return self.time, self.rank, self.place


class CausalOrder:
    """Takes events, each source's in the order of its journal, and gives those that may go."""

    def __init__(self) -> None:
        self._taken: dict[str, JournalPlace] = {}  # of each source, up to here
        self._held: set[str] = set()  # ids of taken events that have not gone
        self._blocked: dict[str, list[Journaled]] = {}  # by the id of what they wait for
        self._behind: dict[tuple[str, str], deque[Journaled]] = {}  # of streams of which an event is blocked, by source: its later ones

    def take(self, event: Journaled) -> Iterator[Journaled]:
        """What may go now that this event has come."""
        self._taken[event.source] = event.place
        if (later := self._behind.get((event.source, event.stream))) is not None:
            later.append(event)
            self._held.add(event.id)
        elif self._waits(event):
            self._block(event)
        else:
            yield from self._go(event)

    def rest(self) -> Iterator[tuple[Journaled, bool]]:
        """All that still waits: the earliest goes first though its cause has not (True), and takes along what waited for it."""
        while self._blocked:
            first = min((event for events in self._blocked.values() for event in events), key=lambda event: event.order)
            assert first.cause is not None, "only what has a cause is blocked"
            waiting = self._blocked[first.cause[0]]
            waiting.remove(first)
            if not waiting:
                del self._blocked[first.cause[0]]
            for n, event in enumerate(self._go(first)):
                yield event, n == 0

    @property
    def held(self) -> int:
        return len(self._held)

    def _waits(self, event: Journaled) -> bool:
        if event.cause is None:
            return False
        cause, source, place = event.cause
        return cause in self._held or place > self._taken.get(source, (-1, -1))

    def _block(self, event: Journaled) -> None:
        assert event.cause is not None, "only what has a cause waits for it"
        self._held.add(event.id)
        self._blocked.setdefault(event.cause[0], []).append(event)
        self._behind.setdefault((event.source, event.stream), deque())

    def _go(self, event: Journaled) -> Iterator[Journaled]:
        """The event, and all that waited for it alone, the earliest first."""
        free = [(event.order, event)]
        while free:
            _, gone = heappop(free)
            self._held.discard(gone.id)
            yield gone
            for waiting in self._blocked.pop(gone.id, ()):
                heappush(free, (waiting.order, waiting))
            stream = gone.source, gone.stream
            if (later := self._behind.get(stream)) is None:
                continue
            if not later:
                del self._behind[stream]
            elif self._waits(following := later.popleft()):
                self._block(following)
            else:
                heappush(free, (following.order, following))


async def merged(journals: Mapping[str, AsyncIterator[Journaled]]) -> AsyncIterator[Journaled]:
    """The events of several journals, always the earliest of their next ones."""
    following: list[tuple[tuple[datetime, int, JournalPlace], Journaled]] = []
    for journal in journals.values():
        if (first := await anext(journal, None)) is not None:
            heappush(following, (first.order, first))
    while following:
        _, event = heappop(following)
        yield event
        if (after := await anext(journals[event.source], None)) is not None:
            heappush(following, (after.order, after))
