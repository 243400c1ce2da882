"""Commands on one subject take turns in this process, first come first served; those on different subjects do not meet.

Without turns all of them would read the same row, and all but one would find that it has moved: of sixty at once each round loses the rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from redress_spine.store.errors import Unavailable

MOST = 1_000  # who wait for one subject: a decision takes some 5 ms, so whoever comes later would wait longer than anybody does


class Turns:
    """What is not waited for takes no room: a subject is forgotten with its last command."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        """Subjects that somebody decides on now."""
        return len(self._waiting)

    @asynccontextmanager
    async def of(self, subject: str, until: float) -> AsyncIterator[None]:
        """The turn of one command. until: by the loop's clock. Raises Unavailable where it has not come by then, or too many wait."""
        line = self._waiting.get(subject)
        if line is None:
            self._waiting[subject] = deque()
        else:
            await self._wait(subject, line, until)
        try:
            yield
        finally:
            self._pass_on(subject)

    async def _wait(self, subject: str, line: deque[asyncio.Future[None]], until: float) -> None:
        if len(line) >= self._most:
            raise Unavailable("Too many commands wait for this subject.")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            async with asyncio.timeout_at(until):
                await turn
        except BaseException as error:
            if turn.cancelled():
                with suppress(ValueError):  # it was passed over between its end and this moment
                    line.remove(turn)
            else:  # it came in the very moment in which nobody waited for it any more
                self._pass_on(subject)
            if isinstance(error, TimeoutError):
                raise Unavailable("Other commands on this subject took too long.") from error
            raise

    def _pass_on(self, subject: str) -> None:
        line = self._waiting[subject]
        while line:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[subject]
