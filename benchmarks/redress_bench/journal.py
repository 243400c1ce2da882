"""Appends a second with eight writers: commit_decisions over the eventsourcing library's PostgreSQL default; and ours lose none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redress_bench.figure import Bound, Figure, Line, Progress, ratios
from redress_bench.journal_writer import SIZE, recorder
from redress_bench.stage import HERE, system
from redress_local.places import migrations
from redress_local.processes import run
from redress_local.provision import Databases, provision
from redress_spine.messaging.relay import read_page
from redress_spine.store import connections
from redress_spine.store.migrate import migrate

WRITERS = 8
BOUND = (
    "Theirs: a table lock around each append, so one fsync each, one after the other. Ours: Python and PostgreSQL's work for each row, for "
    "appends that wait share a transaction and its fsync."
)


class Side:
    """Processes that wait for a round."""

    def __init__(self, side: str, dsn: str, processes: int, writers: int) -> None:
        line = [sys.executable, "-m", "redress_bench.journal_writer", side, str(writers), dsn]
        environment = {**os.environ, "PYTHONPATH": str(HERE)}
        self._running = [
            subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(processes)
        ]

    def round(self, seconds: float) -> float:
        """Appends a second of all of them together."""
        start = time.time() + 0.2
        for each in self._running:
            assert each.stdin
            each.stdin.write(f"{start} {seconds}\n")
            each.stdin.flush()
        counts = [each.stdout.readline() for each in self._running if each.stdout]
        return sum(map(int, counts)) / seconds

    def stop(self) -> None:
        for each in self._running:
            each.kill()
            each.wait()


@contextmanager
def _side(side: str, dsn: str, processes: int, writers: int) -> Iterator[Side]:
    made = Side(side, dsn, processes, writers)
    try:
        yield made
    finally:
        made.stop()


def measure(quick: bool, seed: int, progress: Progress) -> Figure:
    rounds, seconds = (3, 1.5) if quick else (7, 3.0)
    with system([]) as stack:
        mine, other = run(_databases(stack.servers.postgres))
        recorder(other.owner_dsn, create=True)
        found: dict[str, list[tuple[float, float]]] = {}
        for name, processes, writers in (("in one process", 1, WRITERS), ("each a process of its own", WRITERS, 1)):
            with _side("ours", mine.app_dsn, processes, writers) as ours, _side("theirs", other.owner_dsn, processes, writers) as theirs:
                for side in (ours, theirs):
                    side.round(1.0)
                pairs = found[name] = []
                for n in range(rounds):
                    pairs.append((ours.round(seconds), theirs.round(seconds)))
                    progress(f"{name}, round {n + 1} of {rounds}: {pairs[-1][0]:,.0f}/s against {pairs[-1][1]:,.0f}/s")
        appended, read = run(_lost(mine, seconds))
    lines = []
    for name, pairs in found.items():
        limit = Bound("at least", 3, 4) if name == "in one process" else None
        lines.append(Line.of(f"{WRITERS} writers {name}: journal ÷ eventsourcing", "", ratios(pairs), limit))
        lines.append(Line.of(f"{WRITERS} writers {name}: journal", "appends/s", [one for one, _ in pairs]))
        lines.append(Line.of(f"{WRITERS} writers {name}: eventsourcing", "appends/s", [two for _, two in pairs]))
    lines.append(Line("events that a reader missed while they were written", "", appended - read, 0, appended - read, Bound("at most", 0)))
    return Figure(
        "journal",
        f"One event of {SIZE} bytes to a new aggregate in each append, {WRITERS} writers, each waiting for its append to be durable: "
        "commit_decisions (journal and state) by the committer, over PostgresApplicationRecorder with its defaults.",
        BOUND,
        rounds,
        lines,
        [f"A reader that followed {WRITERS} writing processes by the relay's query saw {read:,} of {appended:,} events."],
    )


async def _databases(postgres: str) -> tuple[Databases, Databases]:
    mine, other = await provision(postgres, "intake", database="bench_journal"), await provision(postgres, "other", database="bench_other")
    await migrate(owner_dsn=mine.owner_dsn, app_role=mine.app_role, service_migrations_dir=migrations("intake"), fold=1)
    connection = await connections.connect(other.owner_dsn)
    await connection.execute("CREATE SCHEMA IF NOT EXISTS public; GRANT ALL ON SCHEMA public TO CURRENT_USER")
    await connection.close()
    return mine, other


LAST = """
SELECT e.transaction_id::text, e.global_position FROM events e ORDER BY e.transaction_id DESC, e.global_position DESC LIMIT 1
"""


async def _lost(database: Databases, seconds: float) -> tuple[int, int]:
    """Follow eight writers by the relay's query, then compare with what is there. → appended, read."""
    connection = await connections.connect(database.app_dsn)
    before = await connection.fetchval("SELECT count(*) FROM events")
    last = await connection.fetchrow(LAST)
    cursor = (last[0], last[1]) if last else ("0", 0)
    read = 0
    with _side("ours", database.app_dsn, WRITERS, 1) as ours:
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(None, lambda: (ours.round(1.0), ours.round(seconds)))
        while True:
            done = writing.done()
            rows, _ = await read_page(connection, cursor, 1_000)
            read += len(rows)
            if rows:
                cursor = rows[-1]["transaction_id"], rows[-1]["global_position"]
            elif done:
                break
        await writing
    appended = await connection.fetchval("SELECT count(*) FROM events") - before
    await connection.close()
    return appended, read
