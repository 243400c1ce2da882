"""Who read what, and who was refused: records in a table that is only added to, each bound to the one before it.

A chain is one writer's records of a day at most, numbered without a gap. Each has the hash of the one before it in its own, and a MAC of
that hash, so that whoever owns the database, and not the master key, can neither change a record nor add one. The first record of a chain
names how far the other chains had come, and the log of the service names it from time to time: an end that was cut off is missed there.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from redress_spine.store.errors import Unavailable, safe_message
from redress_spine.store.states import Connection

log = structlog.get_logger(__name__)
AuditRecord = Mapping[str, Any]

CHAIN_LASTS = timedelta(days=1)  # then the writer begins another one, so that old chains can go as a whole
LARGEST_BATCH = 200  # records of one statement
TALLIES = 100  # different records that are counted between two turns; what comes beyond is counted as from anywhere
TURN = 10.0  # seconds between two turns, in which what was counted is written
HEAD_TOLD = timedelta(minutes=10)  # how often the log names the end of a chain that grows
END = 2.0  # seconds that a process that ends waits for its last record
MOST_HEADS = 50  # chains that a new one names: the youngest
BEGUN, ENDED, PRUNED = "begun", "ended", "pruned"  # kinds of records that are about chains
ADD = """
INSERT INTO public.audit (writer, number, at, subjects, record, hash, mac)
SELECT $1::uuid, number, (record::jsonb ->> 'at')::timestamptz,
    ARRAY(SELECT jsonb_object_keys(record::jsonb -> 'subjects')), record, hash, mac
FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::bytea[]) a (number, record, hash, mac)
"""
# Index: audit_begun, audit_pkey.
HEADS = """
SELECT b.writer, h.number, h.hash FROM (SELECT writer FROM public.audit WHERE number = 1 ORDER BY at DESC LIMIT $1) b
CROSS JOIN LATERAL (SELECT a.number, a.hash FROM public.audit a WHERE a.writer = b.writer ORDER BY a.number DESC LIMIT 1) h
"""
# Index: audit_pkey.
THERE = "SELECT hash FROM public.audit WHERE writer = $1 AND number = $2"


@dataclass(frozen=True, slots=True)
class Link:
    """One record in its chain."""

    writer: UUID
    number: int
    record: str
    hash: bytes
    mac: bytes


def audit_key(root: bytes) -> bytes:
    """What the MACs are made with: derived from the first master key by HKDF, for this use alone."""
    return HKDF(SHA256(), 32, salt=None, info=b"redress: audit trail").derive(root)


def key_name(key: bytes) -> str:
    """By which the first record of a chain names its key; it tells nothing of it."""
    return hashlib.sha256(key).hexdigest()[:16]


def genesis(writer: UUID) -> bytes:
    """What stands before the first record of a chain."""
    return hashlib.sha256(writer.bytes).digest()


def hash_of(before: bytes, number: int, record: str) -> bytes:
    return hashlib.sha256(before + number.to_bytes(8, "big") + record.encode()).digest()


def mac_of(key: bytes, hash: bytes) -> bytes:
    return hmac.digest(key, hash, "sha256")


class Chain:
    """What one writer has written so far, by its number and hash."""

    def __init__(self, source: str, key: bytes, now: datetime) -> None:
        self.writer = uuid4()
        self.begun_at = now
        self.number = 0
        self.hash = genesis(self.writer)
        self._source = source
        self._key = key

    def begun(self, heads: Iterable[tuple[UUID, int, bytes]]) -> dict[str, Any]:
        """Its first record. heads: writer, number and hash of the other chains' last ones."""
        named = {str(writer): [number, hash.hex()] for writer, number, hash in heads}
        return {"kind": BEGUN, "at": stamp(self.begun_at), "key": key_name(self._key), "heads": named}

    def links(self, records: Sequence[AuditRecord]) -> list[Link]:
        """These records behind what it has; it has them once `moved` says so."""
        found: list[Link] = []
        number, before = self.number, self.hash
        for each in records:
            number, text = number + 1, orjson.dumps({"service": self._source, **each}).decode()
            before = hash_of(before, number, text)
            found.append(Link(self.writer, number, text, before, mac_of(self._key, before)))
        return found

    def moved(self, last: Link) -> None:
        self.number, self.hash = last.number, last.hash


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


async def add(connection: Connection, links: Sequence[Link]) -> None:
    """One statement, so that all of them are there or none."""
    columns = [each.number for each in links], [each.record for each in links], [each.hash for each in links], [each.mac for each in links]
    await connection.execute(ADD, links[0].writer, *columns)


async def begin(connection: Connection, source: str, key: bytes, records: Sequence[AuditRecord]) -> Chain:
    """A new chain that has these records."""
    chain = Chain(source, key, datetime.now(UTC))
    heads = [tuple(row) for row in await connection.fetch(HEADS, MOST_HEADS)]
    links = chain.links([chain.begun(heads), *records])
    await add(connection, links)
    chain.moved(links[-1])
    return chain


class Trail:
    """One process's writer. lend: a connection for reading and adding; what is wrong with it is raised as Unavailable.

    Records that come while one statement is under way share the next one. After a failure nobody knows whether it was carried out: that is
    looked up before the chain goes on.
    """

    def __init__(self, source: str, root: bytes | None, lend: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        """root: what the MACs' key is derived from; None until `seal_with` says it, before which nothing is written."""
        self._source = source
        self._key = audit_key(root) if root is not None else b""
        self._lend = lend
        self._chain: Chain | None = None
        self._doubtful: Link | None = None  # the last one of a statement whose end is not known
        self._waiting: deque[tuple[AuditRecord, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._tallies: Counter[bytes] = Counter()
        self._told: tuple[UUID | None, int, datetime] = (None, 0, datetime.min.replace(tzinfo=UTC))

    def seal_with(self, root: bytes) -> None:
        self._key = audit_key(root)

    @property
    def head(self) -> tuple[UUID, int] | None:
        """The chain that grows, and the number of its last record."""
        return None if self._chain is None else (self._chain.writer, self._chain.number)

    async def record(self, record: AuditRecord) -> None:
        """Returns once it is there. Raises Unavailable where that cannot be said: then it may be there all the same."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(({"at": stamp(datetime.now(UTC)), **record}, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name=f"{self._source}-audit-write")
        await future

    def tally(self, record: AuditRecord) -> None:
        """A record that may come without end, as anybody can make it: equal ones of some seconds become one, with how many there were. It
        waits for nothing."""
        name = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
        if len(self._tallies) >= TALLIES and name not in self._tallies:
            name = orjson.dumps({**record, "address": None}, option=orjson.OPT_SORT_KEYS)
        self._tallies[name] += 1

    async def run(self) -> None:
        """For ever: write what was counted, end a chain that is a day old, and have the log name how far it has come."""
        while True:
            await asyncio.sleep(TURN)
            try:
                await self._turn()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("audit-not-written", service=self._source, error=safe_message(error))

    async def end(self) -> None:
        """Write what was counted and that the chain has ended, if the database answers."""
        try:
            async with asyncio.timeout(END):
                await self._write_tallies()
                if self._chain is not None:
                    await self.record({"kind": ENDED})
        except Exception as error:
            log.warning("audit-not-ended", service=self._source, error=safe_message(error))
        if self._writing is not None:
            self._writing.cancel()
        self._chain, self._doubtful = None, None

    async def _turn(self) -> None:
        await self._write_tallies()
        chain, now = self._chain, datetime.now(UTC)
        if chain is None:
            return
        if now - chain.begun_at >= CHAIN_LASTS:
            await self.record({"kind": ENDED})
        elif (chain.writer, chain.number) != self._told[:2] and now - self._told[2] >= HEAD_TOLD:
            self._tell_head(chain)

    async def _write_tallies(self) -> None:
        counted, self._tallies = self._tallies, Counter()
        try:
            await asyncio.gather(*(self.record({**orjson.loads(name), "count": count}) for name, count in counted.items()))
        except BaseException:
            self._tallies.update(counted)  # better twice than not at all
            raise

    def _tell_head(self, chain: Chain) -> None:
        """In the log, which is kept elsewhere: `redress audit verify --heads` compares it."""
        log.info("audit-head", service=self._source, writer=str(chain.writer), number=chain.number, hash=chain.hash.hex())
        self._told = chain.writer, chain.number, datetime.now(UTC)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_BATCH))]
                try:
                    await self._write([record for record, _ in batch])
                except asyncpg.PostgresError as error:  # a right or a table that is gone: nothing that whoever asked did wrong
                    log.error("audit-not-written", service=self._source, error=safe_message(error))
                    _settle(batch, Unavailable("The audit trail takes no record now, and nothing is shown that is not recorded."))
                except Exception as error:
                    _settle(batch, error)
                except BaseException as error:
                    _settle([*batch, *self._waiting], ConnectionError(f"The audit trail was interrupted: {type(error).__name__}"))
                    self._waiting.clear()
                    raise
                else:
                    _settle(batch, None)
        finally:
            self._writing = None

    async def _write(self, records: Sequence[AuditRecord]) -> None:
        records = sorted(records, key=lambda each: each.get("kind") == ENDED)
        async with self._lend() as connection:
            chain = await self._certain(connection)
            if chain is None:
                chain = await begin(connection, self._source, self._key, records)
            else:
                links = chain.links(records)
                self._doubtful = links[-1]
                try:
                    await add(connection, links)
                    chain.moved(links[-1])
                except asyncpg.UniqueViolationError:  # a statement that was looked up without success was carried out after all
                    chain = await begin(connection, self._source, self._key, records)
        self._chain, self._doubtful = chain, None
        if records[-1].get("kind") == ENDED:
            self._chain = None
            self._tell_head(chain)

    async def _certain(self, connection: Connection) -> Chain | None:
        """The chain, once it is known whether the last statement was carried out."""
        chain, last = self._chain, self._doubtful
        if chain is not None and last is not None and await connection.fetchval(THERE, last.writer, last.number) == last.hash:
            chain.moved(last)
        self._doubtful = None
        return chain


def _settle(batch: Sequence[tuple[AuditRecord, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, future in batch:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
