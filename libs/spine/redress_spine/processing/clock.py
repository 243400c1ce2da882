"""The clock port and fresh ids: the only places where time and entropy enter; and whether the clock agrees with the database's."""

from __future__ import annotations

import asyncio
import fcntl
import math
import mmap
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
import uuid_utils

from redress_events.event import EPOCH, micros
from redress_spine.store.errors import ClockOff, safe_message

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
BYTES = 8
COMPARE = 1.0  # seconds between two comparisons with the database's clock
LOOK = 0.02  # seconds between two looks at a stepping clock: 50 a second cost 0.1 % of a core, and no mover has to know who reads it


def wall_clock() -> datetime:
    """Now, aware UTC."""
    return datetime.now(UTC)


class ClockUnusable(Exception):
    """The file of a stepping clock is missing, or is none."""


class ClockSetBack(Exception):
    """Time that somebody may have been told is never taken back."""


class SteppingClock:
    """Time that stands still until somebody moves it: microseconds since 1970 in 8 bytes of a file that all processes map.

    Telling it takes less than 1 µs. An aligned word is read and written in one piece, so nobody sees half of a move. For the local profile
    alone.
    """

    def __init__(self, file: Path) -> None:
        """Raises ClockUnusable."""
        self.file = file
        try:
            with file.open("rb") as content:
                mapped = mmap.mmap(content.fileno(), BYTES, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ClockUnusable(f"{file} contains no stepping clock: {error}.") from error
        self._word = memoryview(mapped).cast("q")

    @classmethod
    def make(cls, file: Path, at: datetime) -> SteppingClock:
        """The clock in this file, made to stand at that instant (aware), or moved there if it is one already. Raises ClockSetBack."""
        if file.exists():
            clock = cls(file)
            clock.move(at)
            return clock
        draft = file.with_suffix(".draft")
        draft.write_bytes(micros(at).to_bytes(BYTES, sys.byteorder, signed=True))
        draft.replace(file)
        return cls(file)

    def __call__(self) -> datetime:
        return EPOCH + timedelta(microseconds=self._word[0])

    @property
    def micros(self) -> int:
        return self._word[0]

    def move(self, to: datetime) -> None:
        """Let it be that instant, for all processes at once. Raises ClockSetBack."""
        with self.file.open("r+b") as content:
            fcntl.flock(content, fcntl.LOCK_EX)
            with mmap.mmap(content.fileno(), BYTES) as mapped, memoryview(mapped).cast("q") as word:
                if micros(to) < word[0]:
                    raise ClockSetBack(f"The clock stands at {self().isoformat()} and cannot go back to {to.astimezone(UTC).isoformat()}.")
                word[0] = micros(to)
                mapped.flush()


def wall_seconds_until(instant: datetime, clock: Clock) -> float:
    """How long to sleep until then; forever where no time passes by itself: whoever moves that clock wakes the sleepers."""
    return math.inf if isinstance(clock, SteppingClock) else (instant - clock()).total_seconds()


async def follow(clock: SteppingClock, moved: Callable[[], None]) -> None:
    """Call `moved` after each move, forever."""
    seen = clock.micros
    while True:
        await asyncio.sleep(LOOK)
        if clock.micros != seen:
            seen = clock.micros
            moved()


class CrossCheck:
    """Compares a replica's clock with its database's, because what is decided in time cannot be taken back.

    Which of the two is wrong nobody here can tell, so beyond the tolerance (seconds) nothing is decided until they agree again. A stepping
    clock is meant to differ. skew: by how much ours is ahead, at least, in seconds; negative where it is behind. Kafka's brokers tell their
    time to nobody, and what stands on records was written by clocks like ours.
    """

    def __init__(self, source: str, clock: Clock, tolerance: float) -> None:
        self._source = source
        self._clock = clock
        self._tolerance = tolerance
        self._exempt = isinstance(clock, SteppingClock)
        self.skew = 0.0
        self.agrees = True

    def compare(self, before: datetime, theirs: datetime) -> bool:
        """Whether the clocks agree. before: ours, read before the database was asked for its time."""
        if self._exempt:
            return True
        ahead, behind = (before - theirs).total_seconds(), (theirs - self._clock()).total_seconds()
        self.skew = ahead if ahead > 0 else -max(0.0, behind)
        agrees = abs(self.skew) <= self._tolerance
        if agrees != self.agrees:
            say = log.info if agrees else log.error
            say("clocks-agree" if agrees else "clocks-disagree", service=self._source, skew=self.skew, tolerance=self._tolerance)
        self.agrees = agrees
        return agrees

    def demand(self) -> None:
        """Raises ClockOff where the last comparison found that the clocks disagree."""
        if not self.agrees:
            raise ClockOff(
                f"The clocks of this replica and of {self._source}'s database are {abs(self.skew):.0f} s apart: "
                "nothing is decided here until they agree."
            )

    def since(self, checked: datetime) -> Clock:
        """A clock that goes on from an instant that was compared, and follows no leap of ours."""
        if self._exempt:
            return self._clock
        began = monotonic()
        return lambda: checked + timedelta(seconds=monotonic() - began)

    async def run(self, ask: Callable[[], Awaitable[datetime]]) -> None:
        """Compare each second, forever. ask: the database's time now."""
        while True:
            try:
                before = self._clock()
                self.compare(before, await ask())
            except Exception as error:
                log.debug("clock-not-compared", service=self._source, error=safe_message(error))
            await asyncio.sleep(COMPARE)


def fresh_id(now: datetime) -> str:
    """A version 7 UUID (RFC 9562), which begins with the milliseconds: new rows lie together in the index."""
    return str(uuid_utils.uuid7(nanoseconds=int(now.timestamp() * 1000) * 1_000_000))


def monotonic() -> float:
    return time.monotonic()
