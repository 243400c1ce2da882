"""Forgets answers that were kept under idempotency keys, once nobody repeats a request that long after: a few at a time, by one replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import asyncpg
import structlog

from redress_spine.store.errors import safe_message

log = structlog.get_logger(__name__)

BATCH = 500  # rows in a transaction: a few milliseconds, in which a request that repeats one of these very keys waits
MAX_BATCH_PAUSE = 0.1  # seconds between two batches: at most 5,000 rows a second, above what one service takes down
PAUSE = 60.0  # seconds between two looks
# One statement, one transaction: the lock goes with it, so a replica that stands still holds it for no longer than a transaction may take.
# Index: idempotency_at, idempotency_pkey.
PRUNE = """
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('redress-prune')) AS ours),
old AS MATERIALIZED (
    SELECT i.key FROM turn CROSS JOIN LATERAL (
        SELECT o.key FROM idempotency o WHERE turn.ours AND o.at < now() - $1::interval ORDER BY o.at LIMIT $2
    ) i
)
DELETE FROM idempotency d USING old WHERE d.key = old.key
"""


class Pruning:
    """database: a connection for reading. keep: how long an answer is kept."""

    def __init__(
        self,
        *,
        source: str,
        database: Callable[[], AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]],
        keep: timedelta,
        batch: int = BATCH,
    ) -> None:
        self._source = source
        self._database = database
        self._keep = keep
        self._batch = batch

    async def run(self) -> None:
        """For ever: a pause, then all that is too old. Nothing to hurry for after a start, nor where the database is away."""
        pause = PAUSE
        while True:
            await asyncio.sleep(pause)
            pause = PAUSE
            try:
                if await self.prune() == self._batch:
                    pause = MAX_BATCH_PAUSE
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("not-pruned", service=self._source, error=safe_message(error))

    async def prune(self) -> int:
        """One batch, the oldest first; how many went. 0 also where another replica is at it."""
        async with self._database() as connection:
            done = await connection.execute(PRUNE, self._keep, self._batch)
        return int(done.removeprefix("DELETE "))
