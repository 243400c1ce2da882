"""Parked subjects: shown, redriven in order once the cause is gone, or passed over by somebody who says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import structlog

from redress_events.fold import Folding, ParkedRecord, Waiting, redrive
from redress_events.projector import NOT_STORABLE, NOT_STORED, ROWS
from redress_events.records import Apart, Read, Reader, Record, Unfit
from redress_events.saving import save
from redress_events.skips import Skips, save_skip, skip_of, skips_at
from redress_events.states import States

log = structlog.get_logger(__name__)

COUNTED = 1_000  # records behind a parked one, at most
# Index: state_parked, parked_subject. By subject, and so by the time of registration: no list is sorted to show its beginning.
LIST = f"""
SELECT s.subject, (SELECT count(*) FROM (SELECT 1 FROM parked p WHERE p.subject = s.subject LIMIT {COUNTED}) c) AS records,
       f.at AS since, f.reason, f.detail, f.topic, f.partition, f."offset"
FROM (SELECT subject FROM state WHERE parked ORDER BY subject LIMIT $1) s
CROSS JOIN LATERAL (SELECT * FROM parked p WHERE p.subject = s.subject ORDER BY p.position LIMIT 1) f
ORDER BY s.subject
"""
ASIDE = 'SELECT topic, partition, "offset", reason, detail, at FROM set_aside ORDER BY at DESC LIMIT $1'
RECORDS = """
SELECT position, topic, partition, "offset", reason, detail, key, value, headers FROM parked WHERE subject = $1 ORDER BY position
"""
# The projector's transaction begins with this row too; a moved epoch makes it read again what we changed.
LOCK = "UPDATE consumer_offsets SET epoch = epoch + 1 WHERE topic = ANY ($1::text[]) AND partition = ANY ($2::int[])"
LOCK_ROW = "SELECT 1 FROM state WHERE subject = $1 AND parked FOR UPDATE"
LAST = "SELECT max(position) FROM parked WHERE subject = $1"
COUNT = "SELECT count(*) FROM parked WHERE subject = $1"
REMOVE = "DELETE FROM parked WHERE subject = $1"


@dataclass(frozen=True, slots=True)
class ParkedSubject:
    """One parked subject and the record it stumbled over. records: how many wait, 1,000 at most are counted."""

    subject: str
    records: int
    since: datetime
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """One record that belongs to no subject."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive came to: how many records were folded, and what still stands in the way."""

    folded: int
    left: int
    reason: str | None = None
    detail: str | None = None


class NotParked(Exception):
    """This subject is not parked."""


class Parking:
    """The parked records of one service. `pool` is the operators' own."""

    def __init__(self, source: str, states: States, reader: Reader, pool: asyncpg.Pool) -> None:
        self._source = source
        self._states = states
        self._reader = reader
        self._pool = pool

    async def subjects(self, limit: int = 200) -> list[ParkedSubject]:
        return [ParkedSubject(**row) for row in await self._pool.fetch(LIST, limit)]

    async def set_aside(self, limit: int = 200) -> list[SetAside]:
        return [SetAside(**row) for row in await self._pool.fetch(ASIDE, limit)]

    async def skip(self, subject: str, who: str, why: str) -> Redriven:
        """Pass over the first parked record of the subject for ever, then redrive. Raises NotParked."""
        records = await self._pool.fetch(RECORDS, subject)
        if not records:
            raise NotParked(subject)
        first = record_of_row(records[0])
        await save_skip(self._pool, first, self._reached(await self._pool.fetchrow(ROWS, [subject]), first), who, why)
        return await self.redrive(subject)

    async def redrive(self, subject: str) -> Redriven:
        """Fold the parked records in their order. Folded without a lock, written only if nothing came meanwhile. Raises NotParked."""
        most = 2**31
        while True:
            try:
                return await self._redrive(subject, most)
            except NOT_STORABLE as error:  # fold as many as the database takes, and say what stands in the way
                if most == 0:
                    raise
                most = min(most, await self._pool.fetchval(COUNT, subject)) // 2
                log.warning("redrive-not-stored", service=self._source, subject=subject, error=type(error).__name__)

    async def _redrive(self, subject: str, most: int) -> Redriven:
        while True:
            async with self._pool.acquire() as connection:
                records = await connection.fetch(RECORDS, subject)
                row = await connection.fetchrow(ROWS, [subject])
                if row is None or not row["parked"]:
                    raise NotParked(subject)
                skips = await skips_at(connection, [(each["topic"], each["partition"], each["offset"]) for each in records])
                folding = self._folding(row)
                own = await self._own(connection, records)
                left = self._fold(folding, records[:most], skips, own)
                if len(records) > most:
                    folding.parked = True
                    left += [ParkedRecord(record_of_row(row), "not-stored", NOT_STORED) for row in records[most:]]
                first = left[0] if left else None
                result = Redriven(len(records) - len(left), len(left), first.reason if first else None, first.detail if first else None)
                if left and [(each.reason, each.detail) for each in left] == [(each["reason"], each["detail"]) for each in records]:
                    return result  # without the fence: projectors would start anew for each try, and who tries all the time would stop them
                async with connection.transaction():
                    await connection.execute(
                        LOCK, sorted({each["topic"] for each in records}), sorted({each["partition"] for each in records})
                    )
                    if not await connection.fetchval(LOCK_ROW, subject):
                        raise NotParked(subject)
                    if await connection.fetchval(LAST, subject) != (records[-1]["position"] if records else None):
                        continue
                    await connection.execute(REMOVE, subject)
                    folding.waiting = left
                    await save(connection, [folding])
                return result

    def _reached(self, row: asyncpg.Record | None, record: Record) -> int:
        """How far the record's source was read."""
        item = self._reader.judge(record)
        return self._folding(row).version(item.envelope.source) if row is not None and isinstance(item, Read) else 0

    def _folding(self, row: Any) -> Folding:
        codec = self._states.codec(row["subject"])
        subject = row["subject"]
        return Folding(
            subject,
            self._states.partition(subject),
            codec,
            codec.load_heard(row["heard"]),
            orjson.loads(row["read"]),
            row["cause"],
            True,
            True,
        )

    async def _own(self, connection: asyncpg.pool.PoolConnectionProxy, records: list[Any]) -> Mapping[tuple[str, int], bytes]:
        subjects = sorted({row["key"].decode("utf-8", "replace") for row in records if row["key"]})
        rows = await connection.fetch("SELECT stream, version, hash FROM events WHERE stream = ANY ($1::text[])", subjects)
        return {(row["stream"], row["version"]): row["hash"] for row in rows}

    def _fold(self, folding: Folding, records: list[Any], skips: Skips, own: Mapping[tuple[str, int], bytes]) -> list[ParkedRecord]:
        items: list[Waiting] = []
        for row in records:
            parked = ParkedRecord(record_of_row(row), row["reason"], row["detail"])
            item = self._reader.judge(parked.record)
            if isinstance(item, Apart):  # it was a subject's when it was parked: another partition count since
                item = Unfit(parked.record, folding.subject, item.reason, item.detail)
            items.append((parked, item, skip_of(skips, parked.record)))
        return redrive(folding, items, self._source, own)


def record_of_row(row: Any) -> Record:
    headers = {name: bytes.fromhex(value) for name, value in orjson.loads(row["headers"]).items()}
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers)
