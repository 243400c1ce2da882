"""A service's connections: each knows the live state schema, keeps its transactions short, and is replaced once a rebuild swapped it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from redress_spine.store import connections
from redress_spine.store.errors import JournalRestored, Unavailable

ACQUIRE = 2.0  # seconds to wait for a connection of a pool
CONNECT, ANSWER = 5.0, 10.0  # seconds to wait for a new connection, and for the answer to one statement
SWAPS = 3  # rebuilds that may overtake one question
TIMEOUTS = {"transaction_timeout": "2s", "idle_in_transaction_session_timeout": "5s", "lock_timeout": "1900ms"}
# A service finds its rows by index. Without these a plan that was made while a table was empty reads the whole of it for as long as the
# session lives (appends a second fell from 1,800 to 700 within 20,000 of them), and short arrays are planned again at each call.
PLANS = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
# The live state, and whether the journal grew on this very cluster and timeline. A server in recovery answers with an error.
LIVE = """
SELECT l.schema, l.fold, b.system_identifier = s.system_identifier AND b.timeline = public.timeline_now() AS at_home
FROM public.live l, public.birthplace b, pg_control_system() s
"""
RESTORED = "JR001"  # what `commit_decisions` raises where the journal did not grow on the timeline that is written now
# The database is away, or cannot now: nothing in the question is at fault.
AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a backend that was terminated in mid-use
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidTransactionStateError,  # `transaction_timeout` has ended it; or a standby, just promoted or demoted
    asyncpg.ObjectNotInPrerequisiteStateError,  # it takes no connections
    asyncpg.InvalidCatalogNameError,  # it is not there, while somebody restores it
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is being changed
)
# Some row of many may be at fault, held by somebody else.
HELD = (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError)
UNREACHABLE = (*AWAY, *HELD)
Answer = TypeVar("Answer")


class Database:
    """The database of one service, seen by a release of one fold.

    commits has two connections at most, for two batches under way. Health, measures and waiting for keys have their own, so that a replica
    with more questions than it can answer is not taken for one without a database. So have automations and reactors' plans, together. One
    for reading goes a minute after its last use. password_file: read for each new connection, where the address has no password.
    """

    def __init__(self, source: str, url: str, fold: int, password_file: Path | None = None) -> None:
        self._source = source
        self._url = url
        self._password_file = password_file
        self._fold = fold
        self._schema = "public"
        self._pools: list[asyncpg.Pool] = []

    async def open(self) -> None:
        """Make the pools. Raises Unavailable, JournalRestored."""
        try:
            await connections.demand_sessions(self._url, self._source, password_file=self._password_file, timeout=CONNECT)
            self._pools = [await self._pool("reads", 0, 8)]
            self._pools.append(await self._pool("commits", 1, 2))  # after the first is known: `close` finds it though this one fails
            self._pools.append(await self._pool("watch", 1, 2))
            self._pools.append(await self._pool("automations", 0, 2))
        except (*UNREACHABLE, asyncpg.PostgresError, connections.SharedSession) as error:
            if refusal := connections.refusal(error):
                raise Unavailable(f"The database of {self._source} {refusal}") from error
            raise Unavailable(f"The database of {self._source} does not answer: {type(error).__name__}") from error

    @property
    def reads(self) -> asyncpg.Pool:
        return self._pools[0]

    @property
    def commits(self) -> asyncpg.Pool:
        return self._pools[1]

    @property
    def automations(self) -> asyncpg.Pool:
        return self._pools[3]

    async def connect(self, role: str, **settings: str) -> asyncpg.Connection:
        """A connection whose search path is the live state. Raises Unavailable where that is another release's, and JournalRestored:
        what an older journal tells, or what is folded beside it, would be wrong."""
        while True:
            schema = self._schema
            search_path = {"search_path": f"{schema},public"}
            connection = await connections.connect(
                self._url,
                f"{self._source}-{role}",
                password_file=self._password_file,
                timeout=CONNECT,
                command_timeout=ANSWER,
                server_settings={**search_path, **TIMEOUTS, **PLANS, **settings},
            )
            try:
                live = await connection.fetchrow(LIVE)
                if live is None or live["fold"] != self._fold:
                    raise Unavailable(
                        f"The state of {self._source} was made by fold {live and live['fold']}, this release needs {self._fold}: "
                        "migrate or rebuild."
                    )
                if not live["at_home"]:
                    raise JournalRestored(self._source)
                if live["schema"] == schema:
                    return connection
                self._schema = live["schema"]
            except BaseException:
                connection.terminate()
                raise
            await connection.close()

    async def _pool(self, role: str, least: int, most: int) -> asyncpg.Pool:
        async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
            return await self.connect(role)

        return await connections.pool(
            self._url, min_size=least, max_size=most, connect=connect, reset=_nothing_to_reset, max_inactive_connection_lifetime=60
        )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A connection for reading; what goes wrong with it becomes Unavailable."""
        async with self._lent(self._pools[0]) as connection:
            yield connection

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """The same, for what must be known also while all connections for reading are taken."""
        async with self._lent(self._pools[2]) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, pool: asyncpg.Pool) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        try:
            async with pool.acquire(timeout=ACQUIRE) as connection:
                yield connection
        except UNREACHABLE as error:
            raise Unavailable(f"The database of {self._source} does not answer now.") from error

    async def on_live(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What a question or command comes to; asked again on the new schema if a rebuild swapped it meanwhile."""
        for _ in range(SWAPS):
            try:
                return await ask()
            except asyncpg.UndefinedTableError:
                for pool in self._pools:
                    await pool.expire_connections()
        return await ask()

    async def close(self) -> None:
        for pool in self._pools:
            try:
                async with asyncio.timeout(3):
                    await pool.close()
            except TimeoutError:
                pool.terminate()
        self._pools = []


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """Nobody sets or locks anything for a session on a pool's connection, so the round trip of asyncpg's RESET ALL, a fourteenth of a
    registration, is for nothing. (An open transaction is rolled back by asyncpg before.)"""
