"""One replica as a process of its own, which holds still where it is told to, so that a test can kill or stop it exactly there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from spine_outside import opening
from spine_stack import Stack, engine_of, eventually

from redress_events.vocabulary import LIFECYCLE
from redress_spine.processing import projector
from redress_spine.store.engine import Engine
from redress_spine.store.saving import save_at_once

# Where a replica can hold still. It says `holding` and the number of records that it has in its hands.
PAGE_READ = "a page is read and about to be sent"
PAGE_SENT = "a page is acknowledged, the checkpoint is not moved"
BATCH_READ = "a batch is read, no transaction is open"
BATCH_COMPARED = "a batch is compared with the journal, no transaction is open"
BATCH_SAVED = "a batch is saved, its transaction is open"
BATCH_COMMITTED = "a batch is committed, nobody was told of it"
EFFECT_DONE = "an effect is done, nothing is said of it"


class Replica:
    """A process, seen from the test."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []

    async def listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._lines.append(line.decode(errors="replace"))

    async def says(self, what: str) -> str:
        """The first line that has these words, once it is there."""

        async def said() -> str | None:
            assert self._process.returncode is None, f"it ended: {''.join(self._lines[-20:])}"
            return next((line for line in self._lines if what in line), None)

        line: str = await eventually(said, within=60)
        return line

    async def holds(self) -> int:
        """How many records it has in its hands while it holds still."""
        return int((await self.says("holding")).split()[1])

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def replica(stack: Stack, source: str, *, hold: str = "", stop: bool = False, outside: str = "") -> AsyncIterator[Replica]:
    """A replica of intake or handling, started. hold: where it holds still, once. stop: by SIGSTOP, until somebody sends it SIGCONT.
    outside: the address of another side; the replica's reactor asks it to open cases, and no work does."""
    made = await stack.database(source)
    told = json.dumps([source, made.app_dsn, stack.kafka, stack.prefix, stack.partitions, hold, stop, outside])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spine_process", told),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    seen = Replica(process)
    listening = asyncio.create_task(seen.listen())
    try:
        await seen.says("started")
        yield seen
    finally:
        if process.returncode is None:
            await seen.kill()
        await listening


# -- inside the process


def hold_still(engine: Engine, where: str, stop: bool) -> None:
    """Puts a halt into the engine, at the first page of events or the first batch of the lifecycle."""
    halted: list[int] = []

    async def halt(records: int) -> None:
        if halted:
            return
        halted.append(records)
        print("holding", records, flush=True)
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            await asyncio.Future()

    relay, reading = engine.relay, engine.projector
    ship, send, load, project = relay._ship, relay._send, reading._load, reading._project
    journal = reading._journal
    size = [0]

    async def shipping(connection: Any, rows: Any, keys: Any, after: Any) -> Any:
        following = await ship(connection, rows, keys, after)
        if where == PAGE_SENT:
            await halt(len(rows))
        return following

    async def sending(made: Any) -> None:
        records = list(made)
        if where == PAGE_READ and records[0][0].endswith(LIFECYCLE):
            await halt(len(records))
        await send(records)

    async def loading(connection: Any, subjects: set[str]) -> Any:
        foldings = await load(connection, subjects)
        if where == BATCH_READ and size[0]:
            await halt(size[0])
        return foldings

    async def comparing(connection: Any, wanted: Any) -> Any:
        known = await journal(connection, wanted)
        if where == BATCH_COMPARED and isinstance(wanted, list) and wanted:  # the second look: of those that were not known at the first
            await halt(len(wanted))
        return known

    async def saving(connection: Any, moves: Any, foldings: Any, keys: Any, timeline: Any) -> Any:
        async with connection.transaction():  # what the one statement does is done, and not committed
            written = await save_at_once(connection, moves, foldings, keys, timeline)
            if where == BATCH_SAVED:
                await halt(size[0])
        return written

    async def projecting(connection: Any, batch: Any, refused: str | None = None) -> Any:
        size[0] = sum(len(records) for place, records in batch.items() if place.topic.endswith(LIFECYCLE))
        written = await project(connection, batch, refused)
        if where == BATCH_COMMITTED and size[0]:
            await halt(size[0])
        return written

    relay._ship, relay._send = shipping, sending  # type: ignore[method-assign, assignment]
    act = engine.performing._act

    async def acting(*args: Any) -> Any:
        result = await act(*args)
        if where == EFFECT_DONE:
            await halt(1)
        return result

    finish = engine.performing._finish

    async def finishing(*args: Any) -> None:
        await finish(*args)
        print("finished an effect", flush=True)

    engine.performing._act, engine.performing._finish = acting, finishing  # type: ignore[method-assign, assignment]
    reading._load, reading._project, reading._journal = loading, projecting, comparing  # type: ignore[method-assign]
    projector.save_at_once = saving  # type: ignore[attr-defined]


async def main(source: str, dsn: str, kafka: str, prefix: str, partitions: int, hold: str, stop: bool, outside: str) -> None:
    threading.Thread(target=end_with_the_test, daemon=True).start()
    how: dict[str, Any] = {"automations": [], "reactors": [opening(outside)]} if outside else {}
    engine = engine_of(source, dsn, kafka, prefix, partitions, **how)
    await engine.start()
    hold_still(engine, hold, stop)  # before any loop has had its first turn
    print("started", flush=True)
    leading = False
    while True:
        await asyncio.sleep(0.02)
        if engine.relay.leader != leading:
            leading = engine.relay.leader
            print("leads" if leading else "follows", flush=True)


def end_with_the_test() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(*json.loads(sys.argv[1])))
