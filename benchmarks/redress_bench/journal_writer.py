"""A process that appends: `python -m redress_bench.journal_writer SIDE WRITERS DSN`. Each line on stdin, `<start> <seconds>` (start in
epoch seconds), is one round; the answer is how many appends were durable within it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import asyncpg
import uvloop

from redress_events.vocabulary import LIFECYCLE
from redress_intake.domain.aggregate import AGGREGATE
from redress_spine.messaging.envelope import GENESIS
from redress_spine.processing.clock import fresh_id
from redress_spine.store import connections
from redress_spine.store.commit import Committer, Item
from redress_spine.store.database import PLANS
from redress_spine.store.states import States

SIZE = 600  # bytes of an event
TYPE = "redress.intake.complaint-registered.v1"
STATES = States({"complaint": AGGREGATE}, 12)


def item() -> Item:
    """The first event of a new subject, ready to be committed."""
    subject = f"complaint/{fresh_id(datetime.now(UTC))}"
    data = os.urandom(SIZE // 2).hex().encode()
    digest = hashlib.sha256(GENESIS + data).digest()
    return Item(STATES.fresh(subject), None, '{"kind": "complaint"}', 1, [(subject, 1, LIFECYCLE, TYPE, GENESIS, digest, data)])


async def ours(dsn: str, writers: int) -> None:
    """Through the committer, as a service appends."""
    settings = {"search_path": "fold1_1,public", **PLANS}
    pool = await connections.pool(dsn, min_size=2, max_size=2, server_settings=settings, reset=_nothing)
    committer = Committer("intake", pool, lambda written: None)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        start, seconds = map(float, line.split())

        async def writer(end: float) -> int:
            count = 0
            while time.time() < end:
                outcome = await committer.commit(item())
                assert outcome.result == "committed", outcome
                count += 1
            return count

        await asyncio.sleep(max(0.0, start - time.time()))
        counts = await asyncio.gather(*(writer(start + seconds) for _ in range(writers)))
        print(sum(counts), flush=True)
    await pool.close()


async def _nothing(_: asyncpg.Connection) -> None:
    """As in `redress_spine.store.database`."""


def theirs(dsn: str, writers: int) -> None:
    """Through eventsourcing's PostgreSQL recorder with its defaults, from threads: it is synchronous."""
    append = recorder(dsn)
    for line in sys.stdin:
        start, seconds = map(float, line.split())
        counts = [0] * writers

        def writer(n: int, end: float, counts: list[int]) -> None:
            while time.time() < end:
                append()
                counts[n] += 1

        time.sleep(max(0.0, start - time.time()))
        threads = [threading.Thread(target=writer, args=(n, start + seconds, counts)) for n in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(sum(counts), flush=True)


def recorder(dsn: str, *, create: bool = False) -> Callable[[], None]:
    """Appends one event of a new aggregate. create: makes the table first, which its library cannot do from two sides at once."""
    from eventsourcing.persistence import StoredEvent
    from eventsourcing.postgres import PostgresFactory
    from eventsourcing.utils import Environment

    parts = urlsplit(dsn)
    settings = {
        "POSTGRES_DBNAME": parts.path.removeprefix("/"),
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_USER": unquote(parts.username or ""),
        "POSTGRES_PASSWORD": unquote(parts.password or ""),
        "CREATE_TABLE": "y" if create else "n",
    }
    made = PostgresFactory(Environment(name="bench", env=settings)).application_recorder()

    def append() -> None:
        state = os.urandom(SIZE // 2).hex().encode()
        made.insert_events([StoredEvent(originator_id=uuid.uuid4(), originator_version=1, topic=TYPE, state=state)])

    return append


if __name__ == "__main__":
    side, count, address = sys.argv[1:]
    if side == "ours":
        uvloop.run(ours(address, int(count)))
    else:
        theirs(address, int(count))
