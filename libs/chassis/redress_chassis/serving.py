"""Runs a service's app by uvicorn, as every installation does: `python -m redress_chassis.serving redress_intake.main:app`.

uvicorn wakes ten times a second to see whether it is to end, which is half of what an idle service does. Here a signal wakes it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import uvicorn

TICK = 1.0  # seconds: how old the date of an answer may be
GRACE = 10  # seconds that requests have to end when the process is told to
NOT_STARTED = 3  # uvicorn's exit code of an app that could not start


class Server(uvicorn.Server):
    """A uvicorn that sleeps until it is told to end, or the date changes."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    asked = argparse.ArgumentParser(prog="python -m redress_chassis.serving", description=__doc__)
    asked.add_argument("app", help="the app's module and name, as redress_intake.main:app")
    asked.add_argument("--host", default="127.0.0.1", help="the address to listen at (%(default)s)")
    asked.add_argument("--port", type=int, default=8000, help="its port; 0 for a free one (%(default)s)")
    options = asked.parse_args(arguments)
    # The front door writes better lines than the access log, and knows no proxy's headers.
    server = Server(
        uvicorn.Config(options.app, options.host, options.port, access_log=False, proxy_headers=False, timeout_graceful_shutdown=GRACE)
    )
    with suppress(KeyboardInterrupt):  # it ended in order, and raises the signal again
        server.run()
    return 0 if server.started else NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
