"""One service's journal, opened to write the log again from it: its relay's lead is held, so nobody else ships what it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import asyncpg
import orjson

from redress_spine.admin.causal_order import Journaled, JournalPlace
from redress_spine.messaging.envelope import decode, event_id
from redress_spine.messaging.relay import CHECKPOINT, MOVE, RESTORING, SENT_TO
from redress_spine.store import connections
from redress_spine.store.database import LIVE, PLANS
from redress_spine.store.errors import CannotRestore, JournalRestored
from redress_spine.store.states import one

PAGE = 1_000
LEAD = "SELECT pg_advisory_lock(hashtext('redress-relay'))"
# Whoever has the lead is asked to go, as its own role: it is a relay, which is made to lose it at any moment.
DEPOSE = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = hashtext('redress-relay')::bigint AND objsubid = 1 AND pid <> $1
"""
# What the log has already, by stream: the last version of it.
ON_THE_LOG = "CREATE TEMPORARY TABLE on_the_log (stream text PRIMARY KEY, version bigint NOT NULL)"
WATERMARK = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
# Index: events_relay, and on_the_log_pkey for each row.
READ = """
SELECT e.stream, e.version, e.topic, e.type, e.prevhash, e.hash, e.data, e.transaction_id::text AS transaction_id, e.global_position
FROM events e LEFT JOIN on_the_log o ON o.stream = e.stream
WHERE (e.transaction_id, e.global_position) > ($1::text::xid8, $2) AND e.transaction_id < $3::text::xid8
  AND e.version > coalesce(o.version, 0)
ORDER BY e.transaction_id, e.global_position LIMIT $4
"""
# Index: events_pkey. written: the log has it already.
CAUSES = """
SELECT e.stream, e.version, e.transaction_id::text AS transaction_id, e.global_position, e.version <= coalesce(o.version, 0) AS written
FROM unnest($1::text[], $2::bigint[]) w (stream, version)
JOIN events e ON e.stream = w.stream AND e.version = w.version LEFT JOIN on_the_log o ON o.stream = e.stream
"""
HASHES = "SELECT stream, version, topic, hash FROM events WHERE (stream, version) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))"
MISSING_ON_LOG = """
SELECT (SELECT count(*) FROM events WHERE transaction_id < $1::text::xid8) - (SELECT coalesce(sum(version), 0)::bigint FROM on_the_log)
"""
# Index: events_relay, backwards.
LAST = """
SELECT transaction_id::text AS transaction_id, global_position FROM events WHERE transaction_id < $1::text::xid8
ORDER BY events.transaction_id DESC, global_position DESC LIMIT 1
"""
TOPICS = "SELECT DISTINCT topic FROM events WHERE transaction_id < $1::text::xid8"
MOVED = "The relay's checkpoint of {source} was moved meanwhile. Run it again."
TAKEN = 20.0  # seconds within which a relay's lead must be had


@dataclass(slots=True)
class Journal:
    """connection: the owner's, which holds the lead. began: the relay's checkpoint as it stood. missing: causes that are in no journal."""

    source: str
    rank: int
    connection: asyncpg.Connection
    began: tuple[str, int]
    watermark: str = "0"
    missing: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, source: str, rank: int, owner_dsn: str, app_dsn: str) -> Self:
        """Raises CannotRestore where it is away, a standby, or held by another restore; JournalRestored where it may be older."""
        try:
            connection = await connections.connect(owner_dsn, timeout=5, server_settings={"search_path": "public", **PLANS})
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise CannotRestore(
                f"The journal of {source} is not there ({type(error).__name__}), and the log is written from all of them: "
                "restore that database first."
            ) from error
        try:
            if await connection.fetchval("SELECT pg_is_in_recovery()"):
                raise CannotRestore(f"The database of {source} is a standby or still being restored: promote it first.")
            if not (await one(connection, LIVE))["at_home"]:
                raise JournalRestored(source)
            await _lead(source, connection, app_dsn)
            await connection.execute(ON_THE_LOG)
            start = await one(connection, CHECKPOINT)
        except BaseException:
            connection.terminate()
            raise
        return cls(source, rank, connection, (start["transaction_id"], start["global_position"]))

    async def hashes(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[str, bytes]]:
        """Topic and hash of what the journal has under these streams and versions."""
        keys = list(wanted)
        rows = await self.connection.fetch(HASHES, [stream for stream, _ in keys], [version for _, version in keys])
        return {(row["stream"], row["version"]): (row["topic"], row["hash"]) for row in rows}

    async def note(self, versions: Mapping[str, int]) -> None:
        """These streams are on the log, up to these versions."""
        await self.connection.copy_records_to_table("on_the_log", records=list(versions.items()))

    async def set_watermark(self) -> int:
        """What is committed by now is what will be written: nothing older can appear any more. Returns how many events are to be
        written."""
        await self.connection.execute("ANALYZE on_the_log")
        self.watermark = await self.connection.fetchval(WATERMARK)
        return int(await self.connection.fetchval(MISSING_ON_LOG, self.watermark))

    async def events(self, journals: Mapping[str, Journal]) -> AsyncIterator[Journaled]:
        """What the log lacks, in the journal's order. journals: all of them, to find each cause in its own."""
        cursor = ("0", 0)
        while rows := await self.connection.fetch(READ, *cursor, self.watermark, PAGE):
            cursor = rows[-1]["transaction_id"], rows[-1]["global_position"]
            envelopes = [decode(row["data"]) for row in rows]
            wanted = {each.causation for each in envelopes if each.causation}
            found = await self._places(wanted, journals)
            for row, envelope in zip(rows, envelopes, strict=True):
                place = int(row["transaction_id"]), row["global_position"]
                cause = found.get(envelope.causation or "")
                yield Journaled(envelope.id, self.source, self.rank, row["stream"], place, envelope.time, cause, row)

    async def _places(self, causes: set[str], journals: Mapping[str, Journal]) -> dict[str, tuple[str, str, JournalPlace] | None]:
        """Where these causes are, None for those that the log has already. One that is in no journal is noted and left out."""
        named: dict[str, list[tuple[str, int]]] = {}
        for cause in causes:
            stream, source, version = cause.rsplit("/", 2)
            named.setdefault(source, []).append((stream, int(version)))
        found: dict[str, tuple[str, str, JournalPlace] | None] = {}
        for source, keys in named.items():
            if (journal := journals.get(source)) is None:
                continue
            for row in await journal.connection.fetch(CAUSES, [stream for stream, _ in keys], [version for _, version in keys]):
                cause = event_id(row["stream"], source, row["version"])
                found[cause] = None if row["written"] else (cause, source, (int(row["transaction_id"]), row["global_position"]))
        self.missing += sorted(causes - found.keys())
        return found

    async def begin(self) -> None:
        """From here on the relay ships nothing, also where this process ends, until a restore has come to its end."""
        if not await self.connection.fetchval(MOVE, *self.began, *self.began, RESTORING):
            raise CannotRestore(MOVED.format(source=self.source))

    async def finish(self, cluster: str, topic_ids: Mapping[str, str]) -> None:
        """The relay goes on behind what was written, on these topics. Raises CannotRestore where somebody moved its checkpoint since."""
        last = await self.connection.fetchrow(LAST, self.watermark)
        place = (last["transaction_id"], last["global_position"]) if last else ("0", 0)
        ours = {row["topic"] for row in await self.connection.fetch(TOPICS, self.watermark)}
        await self.connection.execute(SENT_TO, *self.began, orjson.dumps({name: topic_ids[name] for name in ours}).decode())
        if not await self.connection.fetchval(MOVE, *self.began, *place, cluster):
            raise CannotRestore(MOVED.format(source=self.source))

    async def close(self) -> None:
        """Gives the lead back."""
        with suppress(Exception):
            async with asyncio.timeout(2):
                await self.connection.close()
        self.connection.terminate()


async def _lead(source: str, connection: asyncpg.Connection, app_dsn: str) -> None:
    """Wait in line for the relay's lead, and end the session of whoever has it: who waits comes before all who merely try."""
    taking = asyncio.create_task(connection.execute(LEAD))
    deposing = await connections.connect(app_dsn, timeout=5)
    try:
        async with asyncio.timeout(TAKEN):
            while not taking.done():
                await deposing.execute(DEPOSE, connection.get_server_pid())
                await asyncio.wait([taking], timeout=0.2)
        await taking
    except asyncpg.InsufficientPrivilegeError:
        raise CannotRestore(f"Something other than a relay holds the lead of {source}: is another restore-log running?") from None
    except TimeoutError:
        raise CannotRestore(f"The relay of {source} did not give up its lead within {TAKEN:.0f} s: stop the service.") from None
    finally:
        taking.cancel()
        await asyncio.wait([taking])
        await deposing.close()
