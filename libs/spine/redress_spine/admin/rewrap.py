"""Exchanges the master key while the services run: wraps one service's keys again by the newest one, has them sent again, and verifies.

It can be killed at any point and run again: what was wrapped anew stays, and the row `master_key` says what has still to be sent. Data keys
stay what they are, so nothing that they sealed is touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from redress_spine.admin.key_check import CHANGED, KeyCheck
from redress_spine.admin.verify import Difference
from redress_spine.aggregate import Verified
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.records import Reader
from redress_spine.messaging.relay import close
from redress_spine.messaging.topics import Topics
from redress_spine.messaging.whole_log import reader
from redress_spine.store import connections
from redress_spine.store.keyring import NUMBER, Keyring, number_of
from redress_spine.store.master_keys import ASK, ROOT, ROW, root_of
from redress_spine.store.states import States, one
from redress_spine.store.vault import MAKER, Vault

PAGE = 500  # keys of a transaction, which others wait for
ROUNDS = 5  # passes over all keys, while some are found that a replica has just wrapped by the old one
HEARD = 5 * ASK  # seconds within which each replica knows which master key wraps
LOOK = 0.2  # seconds between two looks at how far the relay is
MOST = 20  # differences that are named
LEASE = "SELECT pg_try_advisory_lock(hashtext('redress-rewrap'))"
CURRENT = """
INSERT INTO public.master_key (root, current, oldest) VALUES ($1, $2, $3)
ON CONFLICT (one) DO UPDATE SET root = excluded.root, current = excluded.current
"""
# Index: keys_pkey.
NEXT = "SELECT subject, wrapped FROM public.keys WHERE subject > $1 ORDER BY subject LIMIT $2"
# In the order in which others lock them; one that was destroyed or wrapped again meanwhile stays as it is. Index: keys_pkey.
ANEW = """
WITH mine AS (SELECT subject FROM public.keys WHERE subject = ANY ($1::text[]) ORDER BY subject FOR UPDATE),
done AS (
    UPDATE public.keys k SET wrapped = n.anew FROM unnest($1::text[], $2::bytea[], $3::bytea[]) n (subject, before, anew)
    WHERE k.subject = n.subject AND k.wrapped = n.before AND k.subject IN (SELECT subject FROM mine) RETURNING 1
),
marked AS (UPDATE public.master_key SET unsent = true WHERE EXISTS (SELECT FROM done))
SELECT count(*) FROM done
"""
SEND = """
WITH sent AS (UPDATE public.master_key SET unsent = false WHERE unsent RETURNING 1)
UPDATE public.relay_checkpoint SET keys_from = '' WHERE EXISTS (SELECT FROM sent)
"""
OVER = "UPDATE public.master_key SET oldest = $1, unsent = false WHERE current = $1"
BY_NUMBER = f"SELECT {NUMBER} AS number, count(*) AS n FROM public.keys WHERE wrapped IS NOT NULL GROUP BY 1 ORDER BY 1"
COUNT = "SELECT count(*) FROM public.keys"


class RewrapRefused(Exception):
    """Nothing was changed. The message says why, and what to do."""


@dataclass(slots=True)
class KeysByMaster:
    """How many of a service's keys each master key wraps, by its number. current: which one wraps what is new; oldest: the oldest one that
    may still be needed; both None before the first exchange. unsent: keys were wrapped again and have still to be sent."""

    service: str
    keys: dict[int, int] = field(default_factory=dict)
    current: int | None = None
    oldest: int | None = None
    unsent: bool = False


@dataclass(slots=True)
class Rewrapped:
    """What it came to. anew: keys that this run wrapped anew. differences: what the newest master key alone does not open, the first ones;
    while there are some, the older ones are needed."""

    service: str
    master: int
    keys: int = 0
    anew: int = 0
    sent: bool = False
    differences: list[Difference] = field(default_factory=list)
    more: int = 0


async def by_master(service: str, dsn: str) -> KeysByMaster:
    """Reads all keys. Raises what asyncpg raises."""
    connection = await connections.connect(dsn)
    try:
        row = await connection.fetchrow(ROW)
        found = {each["number"]: each["n"] for each in await connection.fetch(BY_NUMBER)}
        return KeysByMaster(service, found, *((row["current"], row["oldest"], row["unsent"]) if row is not None else ()))
    finally:
        await connection.close()


class Rewrap:
    """ring: all master keys; the newest one is to wrap. progress(what, done, all)."""

    def __init__(
        self,
        service: Verified,
        dsn: str,
        kafka: KafkaClients | str,
        ring: Keyring,
        progress: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._service = service
        self._dsn = dsn
        self._kafka = kafka
        self._ring = ring
        self._progress = progress
        self._done = Rewrapped(service.source, ring.newest)

    async def choose(self) -> bool:
        """From now on the newest one wraps. True: older ones are still needed, so each replica has to hear of it (HEARD) before `run`.
        Raises RewrapRefused, MasterKeyAway, and what asyncpg raises where a server is away."""
        newest = self._ring.newest
        if (copied := self._ring.copied(newest)) is not None:
            raise RewrapRefused(
                f"Master key {newest} is the same key as master key {copied}: whoever has seen one has the other. "
                "Take its file away, and make a new one: redress keys new"
            )
        connection = await connections.connect(self._dsn)
        try:
            root = await root_of(connection, self._ring)
            row = await connection.fetchrow(ROW)
            if row is not None and row["current"] == newest:
                return bool(row["oldest"] < newest)
            ring = Keyring({number: self._ring.secret(number) for number in self._ring.numbers}, newest)
            await connection.execute(CURRENT, ring.wrap(ROOT, root), newest, self._ring.oldest)
            return True
        finally:
            await connection.close()

    async def run(self) -> Rewrapped:
        """Raises RewrapRefused, MasterKeyAway, and what asyncpg and aiokafka raise where a server is away."""
        await connections.demand_sessions(self._dsn, "keys rewrap")
        connection = await connections.connect(self._dsn)
        try:
            if not await connection.fetchval(LEASE):
                raise RewrapRefused(f"The keys of {self._service.source} are being wrapped again already.")
            await root_of(connection, self._ring)
            if self._ring.current != self._done.master:
                raise RewrapRefused(f"Master key {self._done.master} was not chosen for {self._service.source}.")
            for n in range(ROUNDS):
                before = self._done.anew
                await self._wrap_all(connection)
                await self._send(connection)
                if await self._verified(connection):
                    await connection.execute(OVER, self._done.master)
                    break
                if n and self._done.anew == before:  # no replica wraps by the old one: it is something else
                    break
        finally:
            await connection.close()
        return self._done

    async def _wrap_all(self, connection: asyncpg.Connection) -> None:
        after, seen, every = "", 0, await connection.fetchval(COUNT)
        while rows := await connection.fetch(NEXT, after, PAGE):
            anew = [
                (row["subject"], row["wrapped"], self._ring.wrap(row["subject"], key))
                for row in rows
                if row["wrapped"] is not None
                and number_of(row["wrapped"]) != self._done.master
                and (key := self._ring.unwrap(row["subject"], row["wrapped"])) is not None
            ]
            if anew:
                self._done.anew += await _again(connection, ANEW, *map(list, zip(*anew, strict=True)))
            after, seen = rows[-1]["subject"], seen + len(rows)
            self._progress("wrapping anew", seen, max(every, seen))
        self._done.keys = seen

    async def _send(self, connection: asyncpg.Connection) -> None:
        """Who makes keys sends them all again, so that the topic has none that needs an old master key."""
        if self._service.source != MAKER:
            return
        if await connection.execute(SEND) != "UPDATE 0":
            self._done.sent = True
        while (after := await connection.fetchval("SELECT keys_from FROM public.relay_checkpoint")) is not None:
            self._progress(f"its relay sends all keys again{f', behind {after}' if after else ''}", 0, 0)
            await asyncio.sleep(LOOK)

    async def _verified(self, connection: asyncpg.Connection) -> bool:
        """Whether the newest master key alone opens all that is here, and what the topic of keys has to have."""
        service, found = self._service, self._done
        self._progress("verifying", 0, 0)
        found.differences, found.more = [], 0
        states = States(service.aggregates, service.partitions)
        judged = Reader(service.source, service.aggregates, service.contracts, service.partitions, service.mac)
        vault = Vault(self._ring.only(found.master), _never, _never, service.mac)
        check = KeyCheck(judged, Topics(service.topic_prefix).keys, vault, states.partition, service.partitions, self._differs, False)
        consumer = reader(self._kafka)
        try:
            await consumer.start()
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                live = await one(connection, "SELECT schema FROM public.live")
                await connection.execute(f"SET LOCAL search_path = {live['schema']}, public")
                await check.split(connection)
                row = await one(connection, ROW)
                if self._ring.only(found.master).unwrap(ROOT, row["root"]) is None:
                    self._differs("keys", service.source, "has the secret for digests wrapped by another master key", CHANGED)
            await check.compare(connection, consumer)
        finally:
            check.close()
            await close(consumer)
        return not found.differences

    def _differs(self, *what: str) -> None:
        if len(self._done.differences) < MOST:
            self._done.differences.append(Difference(*what))
        else:
            self._done.more += 1


async def _again(connection: asyncpg.Connection, query: str, *values: Any) -> int:
    """Once more where somebody else locked the same keys the other way round."""
    while True:
        try:
            return int(await connection.fetchval(query, *values))
        except asyncpg.DeadlockDetectedError:
            await asyncio.sleep(LOOK)


def _never() -> Any:
    raise AssertionError("Keys are compared, and nothing is opened.")
