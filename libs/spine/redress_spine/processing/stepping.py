"""Moves a stepping clock from one due instant to the next, each time once every replica is quiet.

So a month of deadlines runs in a minute, and the same way each time. Whoever moves the clock has no request outstanding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from redress_spine.processing.clock import ClockSetBack, SteppingClock
from redress_spine.processing.idle import Idle

IDLE_TIMEOUT = 30.0  # seconds without quiet
PAUSE = 0.01  # seconds between two rounds
TRIED = 3  # attempts after which a row that was set aside counts as stuck: one failure may be a key that was late


class NotIdle(Exception):
    """The system does not come to rest at this instant; the message says what is left to do."""


class Stepper:
    """Moves one system's clock.

    ask: one round, the answer of every replica; raises ConnectionError where one does not answer. moved: called after each move, once all
    is quiet again, with the instant and the number of records that it brought on the log.
    """

    def __init__(
        self,
        clock: SteppingClock,
        ask: Callable[[], Sequence[Idle]],
        *,
        timeout: float = IDLE_TIMEOUT,
        moved: Callable[[datetime, int], None] = lambda instant, records: None,
    ) -> None:
        self.clock = clock
        self._ask = ask
        self._timeout = timeout
        self._moved = moved
        self._records = 0

    def settle(self) -> datetime | None:
        """Wait until two rounds in a row find nothing to do and the same counters; the next instant that something is due at, if any.
        Raises NotIdle."""
        end = time.monotonic() + self._timeout
        before: Sequence[Idle] = ()
        while True:
            try:
                round_ = self._ask()
                owed = [what for each in round_ for what in each.pending]
            except ConnectionError as error:
                round_, owed = (), [str(error)]
            if round_ and not owed and [each.counters for each in round_] == [each.counters for each in before]:
                self._records = max(each.ends for each in round_)
                return min((each.next for each in round_ if each.next), default=None)
            if any(row.attempts >= TRIED for each in round_ for row in each.stuck):
                raise NotIdle(self._said("Something is stuck", owed))
            if time.monotonic() > end:
                raise NotIdle(self._said(f"Not quiet within {self._timeout:.0f} s", owed or ["something happens again and again"]))
            before = () if owed else round_
            if owed:
                time.sleep(PAUSE)

    def next(self) -> bool:
        """To the next instant that something is due at; False if there is none. Raises NotIdle."""
        due = self.settle()
        if due is not None:
            self._move(due)
        return due is not None

    def until(self, instant: datetime) -> None:
        """To this instant (aware), by way of all that something is due at before. Raises ClockSetBack, NotIdle."""
        if instant < self.clock():
            raise ClockSetBack(
                f"The clock stands at {self.clock().isoformat()} and cannot go back to {instant.astimezone(UTC).isoformat()}."
            )
        due = self.settle()
        while due is not None and due < instant:
            due = self._move(due)
        self._move(instant)

    def to_end(self) -> None:
        """Until nothing more would happen by itself. Raises NotIdle."""
        due = self.settle()
        while due is not None:
            due = self._move(due)

    def _move(self, instant: datetime) -> datetime | None:
        before = self._records
        self.clock.move(instant)
        due = self.settle()
        self._moved(instant, self._records - before)
        return due

    def _said(self, what: str, owed: Sequence[str]) -> str:
        return f"{what} at {self.clock().isoformat()}: {'; '.join(owed)}."
