"""Parked subjects, and records that belong to none: shown, redriven in order once the cause is gone, or passed over by who says why.

Longer than most: what one transaction of a redrive, of a decision and of a record that is taken in may change is compared here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
import orjson
import structlog
from aiokafka import TopicPartition

from redress_spine.messaging.records import UNFIT, UNREADABLE, DeadLetter, DecodedRecord, Elsewhere, Reader, Record, RejectedRecord
from redress_spine.messaging.topics import Topics
from redress_spine.processing.projector import NOT_STORABLE, NOT_STORED, ROWS, judged_key
from redress_spine.processing.skips import SKIP, Skips, checked_why, skip_of, skips_among
from redress_spine.store.fold import Folding, ParkedRecord, RecordPlace, Waiting, redrive
from redress_spine.store.saving import save
from redress_spine.store.states import States
from redress_spine.store.vault import KeyRecord, Vault

log = structlog.get_logger(__name__)

UNPREFIXED = Topics()
COUNTED = 1_000  # records behind a parked one, at most
# Index: state_parked, parked_subject. By subject, and so by the time of registration: no list is sorted to show its beginning.
LIST = f"""
SELECT s.subject, (SELECT count(*) FROM (SELECT 1 FROM parked p WHERE p.subject = s.subject LIMIT {COUNTED}) c) AS records,
       f.at AS since, f.reason, f.detail, f.topic, f.partition, f."offset", f.type, f.content, f.hash
FROM (SELECT subject FROM state WHERE parked AND {{which}} ORDER BY subject LIMIT $1) s
CROSS JOIN LATERAL (SELECT * FROM parked p WHERE p.subject = s.subject ORDER BY p."offset" LIMIT 1) f
ORDER BY s.subject
"""
LIST_AFTER, LIST_ONE = LIST.format(which="subject > $2"), LIST.format(which="subject = $2")
# Index: set_aside_pkey.
DEAD_LETTERS = """
SELECT topic, partition, "offset", reason, detail, at, type, content, hash FROM dead_letters
WHERE (topic, partition, "offset") > ($2::text, $3::int, $4::bigint) ORDER BY topic, partition, "offset" LIMIT $1
"""
# Index: set_aside_at.
ASIDE_NEWEST = 'SELECT topic, partition, "offset", reason, detail, at, type, content, hash FROM dead_letters ORDER BY at DESC LIMIT $1'
RECORD = """
SELECT topic, partition, "offset", reason, detail, key, value, headers FROM {table}
WHERE topic = ANY ($1::text[]) AND partition = $2 AND "offset" = $3 ORDER BY topic DESC LIMIT 1
"""
RECORDS = """
SELECT position, topic, partition, "offset", reason, detail, key, value, headers FROM parked WHERE subject = $1 ORDER BY "offset"
"""
FIRST = f"{RECORDS} LIMIT 1"
# The projector's transaction begins with this row too; a moved epoch makes it read again what we changed.
LOCK = "UPDATE consumer_offsets SET epoch = epoch + 1 WHERE topic = ANY ($1::text[]) AND partition = ANY ($2::int[]) RETURNING next"
LOCK_ROW = "SELECT 1 FROM state WHERE subject = $1 AND parked FOR UPDATE"
LAST = "SELECT max(position) FROM parked WHERE subject = $1"
REMOVE = "DELETE FROM parked WHERE subject = $1 AND position = ANY ($2::bigint[]) RETURNING 1"
TELL = "UPDATE parked SET reason = $3, detail = $4 WHERE subject = $1 AND position = $2"
# Index: parked_content.
COPIES = """
SELECT DISTINCT ON (content) content, subject, topic, partition, "offset", key, value, headers FROM parked
WHERE topic = $1 AND partition = $2 AND content = ANY ($3::bytea[]) ORDER BY content, "offset"
"""
# Index: set_aside_content.
LET_GO = "DELETE FROM dead_letters WHERE topic = $1 AND partition = $2 AND content = ANY ($3::bytea[]) RETURNING content"
HAS_ASIDE = "SELECT content, hash FROM dead_letters WHERE topic = $1 AND partition = $2 AND content = ANY ($3::bytea[])"
SET_ASIDE_AT = """
SELECT topic, partition, "offset", reason, detail, key, value, headers FROM dead_letters
WHERE topic = $1 AND partition = $2 AND "offset" = ANY ($3::bigint[]) ORDER BY "offset"
"""
TAKE_OUT = 'DELETE FROM dead_letters WHERE topic = $1 AND partition = $2 AND "offset" = ANY ($3::bigint[]) RETURNING 1'
TAKEN_IN = "It was set aside, and this release can read it."
STEP = 500  # records folded in a transaction: some 50 ms, of the 2 s that it may take


@dataclass(frozen=True, slots=True)
class ParkedSubject:
    """One parked subject and the record that it stumbled over.

    records: how many wait, 1,000 at most are counted. type: that the record's envelope names. content, hash: in hex. event: as in
    `SkippedRecord`.
    """

    subject: str
    records: int
    since: datetime
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    type: str | None
    content: str
    hash: str
    event: bool


@dataclass(frozen=True, slots=True)
class DeadLetterEntry:
    """One record that belongs to no subject. type, content, hash, event: as of a parked one."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    at: datetime
    type: str | None
    content: str
    hash: str
    event: bool = False


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive came to: how many records were folded, and what still stands in the way."""

    folded: int
    left: int
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of records that were set aside. taken_in: this release can read so many; folded: into their subjects, with what waited
    there; left: of these still wait; unreadable: stay where they are."""

    taken_in: int
    folded: int
    left: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A record that an operator passes over, in whichever service. offset: of a copy.

    event: it is an event with its chain, which some services may have folded. These are not told to pass over it.
    """

    topic: str
    partition: int
    offset: int
    content: bytes
    hash: bytes
    event: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a service made of decisions.

    taken: it keeps so many. elsewhere: so many records do not hold it up. unread: it has not read so many yet, and is to be told again.
    settled: records that wait no more. left: subjects that something else holds up.
    """

    taken: int = 0
    elsewhere: int = 0
    unread: int = 0
    settled: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class HeldRecord:
    """A record that is parked or set aside, as it came, and why."""

    record: Record
    reason: str
    detail: str
    subject: str | None
    event: bool


class NotParked(Exception):
    """This subject is not parked."""


class Moved(Exception):
    """What was read is not what waits now."""


class Parking:
    """The parked records of one service. `pool` is the operators' own. vault: None where no record of the topic of keys is taken in."""

    def __init__(
        self, source: str, states: States, reader: Reader, pool: asyncpg.Pool, vault: Vault | None = None, topics: Topics = UNPREFIXED
    ) -> None:
        self._source = source
        self._states = states
        self._reader = reader
        self._pool = pool
        self._vault = vault
        self._topics = topics

    async def subjects(self, limit: int = 200, after: str = "", only: str | None = None) -> list[ParkedSubject]:
        """Parked subjects behind this one in the order of their names, or one alone."""
        rows = await self._pool.fetch(*((LIST_AFTER, limit, after) if only is None else (LIST_ONE, limit, only)))
        return [ParkedSubject(**_in_hex(row), event=row["reason"] not in UNFIT) for row in rows]

    async def dead_letters(self, limit: int = 200, after: RecordPlace | None = None) -> list[DeadLetterEntry]:
        """The newest; or those behind a place, in the order of their places."""
        rows = await self._pool.fetch(*((ASIDE_NEWEST, limit) if after is None else (DEAD_LETTERS, limit, *after)))
        return [DeadLetterEntry(**_in_hex(row)) for row in rows]

    async def held(
        self, *, subject: str | None = None, place: tuple[int, int] | None = None, topic: str | None = None
    ) -> HeldRecord | None:
        """The record that this subject stumbled over, or the one that is held at this partition and offset."""
        if subject is not None:
            row = await self._pool.fetchrow(FIRST, subject)
        else:
            assert place is not None
            topics = [self._topics.lifecycle, self._topics.keys] if topic is None else [topic]
            row = await self._pool.fetchrow(RECORD.format(table="parked"), topics, *place)
            row = row or await self._pool.fetchrow(RECORD.format(table="dead_letters"), topics, *place)
        if row is None:
            return None
        record = record_of_row(row)
        item = self._reader.judge(record)
        of = None if isinstance(item, DeadLetter | Elsewhere) or record.topic == self._topics.keys else item.subject
        return HeldRecord(record, row["reason"], row["detail"], of, isinstance(item, DecodedRecord) and record.topic != self._topics.keys)

    async def skip(self, subject: str, who: str, why: str) -> Redriven:
        """Pass over the first parked record of the subject forever, all its copies too, then redrive. Raises NotParked."""
        held = await self.held(subject=subject)
        if held is None:
            raise NotParked(subject)
        await self._decide([decided(held)], who, why)
        return await self.redrive(subject)

    async def pass_over(self, records: Sequence[SkippedRecord], who: str, why: str) -> Skipped:
        """Pass over these records forever, wherever copies of them stand, and redrive what they held up. Said again it changes nothing.
        Raises ValueError where the reason is not to be kept."""
        result, subjects = await self._decide(records, who, why)
        for subject in subjects:
            try:
                one = await self.redrive(subject)
            except NotParked:
                continue
            result = replace(result, settled=result.settled + one.folded, left=result.left + (one.left > 0))
        return result

    async def _decide(self, records: Sequence[SkippedRecord], who: str, why: str) -> tuple[Skipped, list[str]]:
        """Keep the decisions, and tell which subjects they are about. A partition at a time, for its fence."""
        result, subjects = Skipped(), list[str]()
        by_place: dict[TopicPartition, dict[bytes, SkippedRecord]] = {}
        for each in records:
            by_place.setdefault(TopicPartition(each.topic, each.partition), {})[each.content] = each
        for place, of in by_place.items():
            contents = list(of)
            kept = {content for found in (await skips_among(self._pool, place, contents)).values() for content in found}
            waits = {row["content"] for query in (COPIES, HAS_ASIDE) for row in await self._pool.fetch(query, *place, contents)}
            if all(content in kept and content not in waits for content in contents):
                result = replace(result, taken=result.taken + len(of))  # without the fence: who repeats it is to stop no projector
                continue
            async with self._pool.acquire() as connection, connection.transaction():
                result = await self._decide_here(connection, place, of, kept, result, subjects, (who, checked_why(why)))
        return result, subjects

    async def _decide_here(
        self,
        connection: asyncpg.pool.PoolConnectionProxy,
        place: TopicPartition,
        of: Mapping[bytes, SkippedRecord],
        kept: Set[bytes],
        result: Skipped,
        subjects: list[str],
        by: tuple[str, str],
    ) -> Skipped:
        following = await connection.fetchval(LOCK, [place.topic], [place.partition]) or 0
        copies = await connection.fetch(COPIES, *place, list(of))
        parked = {row["content"]: (row["subject"], record_of_row(row)) for row in copies}
        own = await self._own(connection, copies)
        rows = {row["subject"]: row for row in await connection.fetch(ROWS, sorted({subject for subject, _ in parked.values()}))}
        aside = {row["content"]: row["hash"] for row in await connection.fetch(HAS_ASIDE, *place, list(of))}
        taken, elsewhere, unread = list[tuple[SkippedRecord, int]](), 0, 0
        for content, each in of.items():
            if content in parked:
                subject, record = parked[content]
                subjects.append(subject)
                if (reached := self._reached(rows.get(subject), record, own)) is None and content not in kept:
                    elsewhere += 1
                else:
                    taken.append((replace(each, hash=record.hash), reached or 0))
            elif not each.event or content in aside or content in kept:
                taken.append((replace(each, hash=aside.get(content, each.hash)), 0))
            else:
                elsewhere, unread = elsewhere + (each.offset < following), unread + (each.offset >= following)
        for each, reached in taken:
            await connection.execute(SKIP, *place, each.content, each.hash, each.offset, reached, *by)
        gone = await connection.fetch(LET_GO, *place, [each.content for each, _ in taken])
        return replace(
            result,
            taken=result.taken + len(taken),
            elsewhere=result.elsewhere + elsewhere,
            unread=result.unread + unread,
            settled=result.settled + len(gone),
        )

    async def redrive_aside(self, topic: str, partition: int, offsets: Sequence[int], dry_run: bool = False) -> TakenIn:
        """Fold what was set aside there and can be read now. dry_run: only tell what can."""
        while True:
            try:
                taken, subjects = await self._take_in(topic, partition, offsets, dry_run)
                break
            except Moved:
                continue
        for subject in subjects:
            try:
                one = await self.redrive(subject)
            except NotParked:
                continue
            taken = replace(taken, folded=taken.folded + one.folded, left=taken.left + one.left)
        return taken

    async def _take_in(self, topic: str, partition: int, offsets: Sequence[int], dry_run: bool) -> tuple[TakenIn, list[str]]:
        """Keys are kept, or destroyed where a subject is forgotten, and events parked before what waits already. Raises Moved."""
        rows = await self._pool.fetch(SET_ASIDE_AT, topic, partition, list(offsets))
        keys: dict[str, KeyRecord] = {}
        destroyed: dict[str, KeyRecord] = {}
        by_subject: dict[str, list[Record]] = {}
        readable: list[int] = []
        for record in map(record_of_row, rows):
            if topic == self._topics.keys and not record.unreadable:
                assert self._vault is not None
                key = judged_key(self._reader, self._vault, record)
                if isinstance(key, DeadLetter):
                    continue
                if key is not None and (key[0] not in keys or record.value is None):
                    keys[key[0]] = key[1]
            elif isinstance(item := self._reader.judge(record), DeadLetter | Elsewhere):
                continue
            else:
                by_subject.setdefault(item.subject, []).append(record)
                if self._vault is not None and isinstance(item, DecodedRecord):
                    forgotten = self._vault.destroyed_by(item.subject, item.event)
                    destroyed |= {item.subject: forgotten} if forgotten is not None else {}
            readable.append(record.offset)
        stay = len(rows) - len(readable)
        if dry_run or not readable:
            return TakenIn(len(readable), 0, 0, stay), []
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, [topic], [partition])
            if len(await connection.fetch(TAKE_OUT, topic, partition, readable)) != len(readable):
                raise Moved("Another process is taking these records in.")
            if self._vault is not None:
                await self._vault.store(connection, keys | destroyed)
            stored = {row["subject"]: row for row in await connection.fetch(ROWS, list(by_subject))}
            foldings = [self._folding(stored.get(subject), subject) for subject in by_subject]
            for folding in foldings:
                for record in by_subject[folding.subject]:
                    folding.park(record, "set-aside", TAKEN_IN)
                folding.touched = True
            if foldings:
                await save(connection, foldings)
        return TakenIn(len(readable), len(keys), 0, stay), list(by_subject)

    async def redrive(self, subject: str, dry_run: bool = False) -> Redriven:
        """Fold the parked records in their order, some at a time, until one stands in the way. Each transaction leaves what a redrive up to
        there would have. dry_run: fold in memory, and write nothing. Raises NotParked."""
        step, folded = STEP, 0
        while True:
            try:
                async for done in self._steps(subject, step, dry_run):
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
            except Moved:
                continue
            else:
                return replace(result, folded=folded)

    async def _steps(self, subject: str, step: int, dry_run: bool) -> AsyncIterator[Redriven]:
        """All parked records, read once; folded without a lock, and written `step` at a time, only if nobody else took one of them. What
        comes meanwhile is parked behind them, so it is looked for before the last step alone. Raises Moved where all has to be read again.
        """
        async with self._pool.acquire() as connection:
            records = await connection.fetch(RECORDS, subject)
            row = await connection.fetchrow(ROWS, [subject])
            if row is None or not row["parked"]:
                raise NotParked(subject)
            skips: Skips = {}
            for place in {TopicPartition(each["topic"], each["partition"]) for each in records}:
                here = [record_of_row(each).content for each in records if (each["topic"], each["partition"]) == place]
                skips = {**skips, **await skips_among(connection, place, here)}
            own = await self._own(connection, records)
            folding, items = self._folding(row, subject), self._items(subject, records, skips)
            positions = {id(parked.record): each["position"] for (parked, _, _), each in zip(items, records, strict=True)}
            fence = sorted({each["topic"] for each in records}), sorted({each["partition"] for each in records})
            latest = max((each["position"] for each in records), default=None)
            while True:
                await asyncio.sleep(0)
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
                if dry_run and not ended:
                    yield result
                    folding.waiting, folding.sealed, folding.entries = [], [], []
                    continue
                if dry_run or (not taken and left and not moved):
                    yield result  # without the fence: projectors would start again for each try, and who tries all the time would stop them
                    return
                folding.parked, folding.touched, folding.waiting = bool(left), True, []
                folding.changes = folding.project()
                async with connection.transaction():
                    await connection.execute(LOCK, *fence)
                    if not await connection.fetchval(LOCK_ROW, subject):
                        raise NotParked(subject)
                    if ended and await connection.fetchval(LAST, subject) != latest:
                        raise Moved
                    if len(await connection.fetch(REMOVE, subject, taken)) != len(taken):
                        raise Moved
                    if first is not None:
                        await connection.execute(TELL, subject, positions[id(first.record)], first.reason, first.detail)
                    await save(connection, [folding])
                yield result
                if ended:
                    return
                folding.saved()

    def _reached(self, row: asyncpg.Record | None, record: Record, own: Mapping[tuple[str, int], bytes]) -> int | None:
        """How far the record's source was read. None where the record was, of which this is a copy, or where the journal has it by now: a
        decision would take it out of the state at the next rebuild, and a redrive passes over the copy as it is. own: the journal's."""
        item = self._reader.judge(record)
        if row is None or not isinstance(item, DecodedRecord):
            return 0
        folding, source = self._folding(row, item.subject), item.envelope.source
        ours = source == self._source and own.get((item.subject, item.envelope.version)) == record.hash
        return None if ours or folding.known(item) else folding.version(source)

    def _folding(self, row: asyncpg.Record | None, subject: str) -> Folding:
        """Its row, held up. row None: there is none yet."""
        codec, partition = self._states.codec(subject), self._states.partition(subject)
        if row is None:
            return Folding(subject, partition, codec, codec.aggregate.facets[0](), {}, parked=True, touched=True)
        observed, read = codec.load_observed(row["observed"]), orjson.loads(row["read"])
        return Folding(
            subject,
            partition,
            codec,
            observed,
            read,
            row["cause"],
            parked=True,
            touched=True,
            stored_own=row["own"],
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
            assert not isinstance(item, Elsewhere), "it would not have been parked"
            items.append((parked, item, skip_of(skips, parked.record)))
        return items


def record_of_row(row: Any) -> Record:
    headers = {name: bytes.fromhex(value) for name, value in orjson.loads(row["headers"]).items()}
    unreadable = "reason" in row and row["reason"] == UNREADABLE
    return Record(row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers, unreadable=unreadable)


def _in_hex(row: Any) -> dict[str, Any]:
    return {**row, "content": row["content"].hex(), "hash": row["hash"].hex()}


def decided(held: HeldRecord) -> SkippedRecord:
    """A decision to pass over this record, in words that hold in every service."""
    record = held.record
    return SkippedRecord(record.topic, record.partition, record.offset, record.content, record.hash, held.event)
