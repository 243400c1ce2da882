"""Parked subjects: shown, redriven in order once the cause is gone, or passed over by somebody who says why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import structlog

from redress_spine.messaging.records import DeadLetter, DecodedRecord, Reader, Record, RejectedRecord
from redress_spine.processing.projector import NOT_STORABLE, NOT_STORED, ROWS
from redress_spine.processing.skips import Skips, save_skip, skip_of, skips_at
from redress_spine.store.fold import Folding, ParkedRecord, Waiting, redrive
from redress_spine.store.saving import save
from redress_spine.store.states import States

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
DEAD_LETTERS = 'SELECT topic, partition, "offset", reason, detail, at FROM dead_letters ORDER BY at DESC LIMIT $1'
RECORDS = """
SELECT position, topic, partition, "offset", reason, detail, key, value, headers FROM parked WHERE subject = $1 ORDER BY position
"""
FIRST = f"{RECORDS} LIMIT 1"
# The projector's transaction begins with this row too; a moved epoch makes it read again what we changed.
LOCK = "UPDATE consumer_offsets SET epoch = epoch + 1 WHERE topic = ANY ($1::text[]) AND partition = ANY ($2::int[])"
LOCK_ROW = "SELECT 1 FROM state WHERE subject = $1 AND parked FOR UPDATE"
LAST = "SELECT max(position) FROM parked WHERE subject = $1"
REMOVE = "DELETE FROM parked WHERE subject = $1 AND position = ANY ($2::bigint[]) RETURNING 1"
TELL = "UPDATE parked SET reason = $3, detail = $4 WHERE subject = $1 AND position = $2"
STEP = 500  # records folded in a transaction: some 50 ms, of the 2 s that it may take


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
class DeadLetterEntry:
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


class _Moved(Exception):
    """What was read of a subject is not what waits now."""


class Parking:
    """The parked records of one service. `pool` is the operators' own."""

    def __init__(self, source: str, states: States, reader: Reader, pool: asyncpg.Pool) -> None:
        self._source = source
        self._states = states
        self._reader = reader
        self._pool = pool

    async def subjects(self, limit: int = 200) -> list[ParkedSubject]:
        return [ParkedSubject(**row) for row in await self._pool.fetch(LIST, limit)]

    async def dead_letters(self, limit: int = 200) -> list[DeadLetterEntry]:
        return [DeadLetterEntry(**row) for row in await self._pool.fetch(DEAD_LETTERS, limit)]

    async def skip(self, subject: str, who: str, why: str) -> Redriven:
        """Pass over the first parked record of the subject for ever, then redrive. Raises NotParked."""
        row = await self._pool.fetchrow(FIRST, subject)
        if row is None:
            raise NotParked(subject)
        first = record_of_row(row)
        await save_skip(self._pool, first, self._reached(await self._pool.fetchrow(ROWS, [subject]), first), who, why)
        return await self.redrive(subject)

    async def redrive(self, subject: str) -> Redriven:
        """Fold the parked records in their order, some at a time, until one stands in the way. Each transaction leaves what a redrive up to
        there would have. Raises NotParked."""
        step, folded = STEP, 0
        while True:
            try:
                async for done in self._steps(subject, step):
                    folded, result = folded + done.folded, done
            except NOT_STORABLE as error:  # fold as many as the database takes, and say what stands in the way
                if step == 0:
                    raise
                step //= 2
                log.warning("redrive-not-stored", service=self._source, subject=subject, error=type(error).__name__)
            except NotParked:
                if not folded:
                    raise
                return Redriven(folded, 0)  # somebody else folded the rest
            except _Moved:
                continue
            else:
                return replace(result, folded=folded)

    async def _steps(self, subject: str, step: int) -> AsyncIterator[Redriven]:
        """All parked records, read once; folded without a lock, and written `step` at a time, only if nobody else took one of them. What
        comes meanwhile is parked behind them, so it is looked for before the last step alone. Raises _Moved where all has to be read anew.
        """
        async with self._pool.acquire() as connection:
            records = await connection.fetch(RECORDS, subject)
            row = await connection.fetchrow(ROWS, [subject])
            if row is None or not row["parked"]:
                raise NotParked(subject)
            skips = await skips_at(connection, [(each["topic"], each["partition"], each["offset"]) for each in records])
            own = await self._own(connection, records)
            folding, items = self._folding(row), self._items(subject, records, skips)
            positions = {id(parked.record): each["position"] for (parked, _, _), each in zip(items, records, strict=True)}
            fence = sorted({each["topic"] for each in records}), sorted({each["partition"] for each in records})
            while True:
                left = redrive(folding, items, self._source, own, most=step)
                waiting = {id(each.record) for each in left}
                taken = [positions[id(parked.record)] for parked, _, _ in items if id(parked.record) not in waiting]
                items = [each for each in items if id(each[0].record) in waiting]
                if step == 0 and left:
                    left[0] = ParkedRecord(left[0].record, "not-stored", NOT_STORED)
                ended = not left or step == 0 or len(taken) < step
                before = items[0][0] if items else None
                first = left[0] if left and ended else None
                result = Redriven(len(taken), len(left), first.reason if first else None, first.detail if first else None)
                moved = first is not None and before is not None and (first.reason, first.detail) != (before.reason, before.detail)
                if not taken and left and not moved:
                    yield result  # without the fence: projectors would start anew for each try, and who tries all the time would stop them
                    return
                folding.parked, folding.touched, folding.waiting = bool(left), True, []
                folding.changes = folding.project()
                async with connection.transaction():
                    await connection.execute(LOCK, *fence)
                    if not await connection.fetchval(LOCK_ROW, subject):
                        raise NotParked(subject)
                    if ended and await connection.fetchval(LAST, subject) != (records[-1]["position"] if records else None):
                        raise _Moved
                    if len(await connection.fetch(REMOVE, subject, taken)) != len(taken):
                        raise _Moved
                    if first is not None:
                        await connection.execute(TELL, subject, positions[id(first.record)], first.reason, first.detail)
                    await save(connection, [folding])
                yield result
                if ended:
                    return
                folding.saved()

    def _reached(self, row: asyncpg.Record | None, record: Record) -> int:
        """How far the record's source was read."""
        item = self._reader.judge(record)
        return self._folding(row).version(item.envelope.source) if row is not None and isinstance(item, DecodedRecord) else 0

    def _folding(self, row: Any) -> Folding:
        codec = self._states.codec(row["subject"])
        subject = row["subject"]
        return Folding(
            subject,
            self._states.partition(subject),
            codec,
            codec.load_observed(row["observed"]),
            orjson.loads(row["read"]),
            row["cause"],
            True,
            True,
            stored_done=row["own"],
            decided=row["decided"],
        )

    async def _own(self, connection: asyncpg.pool.PoolConnectionProxy, records: list[Any]) -> Mapping[tuple[str, int], bytes]:
        subjects = sorted({row["key"].decode("utf-8", "replace") for row in records if row["key"]})
        rows = await connection.fetch("SELECT stream, version, hash FROM events WHERE stream = ANY ($1::text[])", subjects)
        return {(row["stream"], row["version"]): row["hash"] for row in rows}

    def _items(self, subject: str, records: list[Any], skips: Skips) -> list[Waiting]:
        items: list[Waiting] = []
        for row in records:
            parked = ParkedRecord(record_of_row(row), row["reason"], row["detail"])
            item = self._reader.judge(parked.record)
            if isinstance(item, DeadLetter):  # it was a subject's when it was parked: another partition count since
                item = RejectedRecord(parked.record, subject, item.reason, item.detail)
            items.append((parked, item, skip_of(skips, parked.record)))
        return items


def record_of_row(row: Any) -> Record:
    headers = {name: bytes.fromhex(value) for name, value in orjson.loads(row["headers"]).items()}
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers)
