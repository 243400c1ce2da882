"""What a swap would take away: rows and versions that the live state has and the new one lacks.

Compared by version and never by offset, so that it holds for a log that was written anew too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import asyncpg
import orjson
from aiokafka import TopicPartition

from redress_events.records import Record

# One pass over both states, joined by their primary keys. Rows whose versions are the same, nearly all, are not looked into.
# {which}: all, or those named in $1.
BEHIND = """
SELECT l.subject, l.done <> '{{}}' AS done,
       (SELECT coalesce(jsonb_object_agg(r.key, r.value -> 'v'), '{{}}') FROM jsonb_each(l.read) r)::text AS versions
FROM {live}.state l LEFT JOIN {new}.state n ON n.subject = l.subject
WHERE {which} AND (n.subject IS NULL AND (l.parked OR l.done <> '{{}}' OR l.read <> '{{}}')
    OR l.done <> '{{}}' AND n.done = '{{}}'
    OR l.read <> n.read AND EXISTS (
        SELECT FROM jsonb_each(l.read) r WHERE (r.value ->> 'v')::bigint > coalesce((n.read -> r.key ->> 'v')::bigint, 0)))
"""
HERE = """
SELECT n.subject, n.done <> '{{}}' AS done,
       (SELECT coalesce(jsonb_object_agg(r.key, r.value -> 'v'), '{{}}') FROM jsonb_each(n.read) r)::text AS versions
FROM {new}.state n WHERE n.subject = ANY ($1::text[])
"""
# Own facts that the log has and the journal lacks, where the live state does not say so.
NOT_IN_JOURNAL = """
SELECT n.subject, count(*) AS facts FROM {new}.parked n
WHERE n.reason = 'not-in-journal' AND NOT EXISTS (SELECT FROM {live}.parked l WHERE l.subject = n.subject AND l.reason = n.reason)
GROUP BY n.subject ORDER BY n.subject
"""
OFFSETS = "SELECT topic, partition, next FROM {live}.consumer_offsets"
NAMED = 5  # subjects
AT_ONCE = 5_000  # rows


@dataclass(slots=True)
class Loss:
    """rows: subjects that would have no row, or no own facts. versions: facts that the new state, or the journal, knows nothing of."""

    rows: int = 0
    versions: int = 0
    subjects: int = 0
    named: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.subjects > 0

    def __str__(self) -> str:
        more = f" and {self.subjects - len(self.named)} more" if self.subjects > len(self.named) else ""
        return f"{self.rows} rows and {self.versions} versions of {self.subjects} complaints: {', '.join(self.named)}{more}"

    def add(self, subject: str, gone: bool, versions: int) -> None:
        self.rows += gone
        self.versions += versions
        self.subjects += 1
        if len(self.named) < NAMED:
            self.named.append(subject)


@dataclass(frozen=True, slots=True)
class _Row:
    done: bool
    versions: Mapping[str, int]


class Losses:
    """Captures what the new state lacks, all of it the first time and from then on where the live state went on; judges it once the new
    state has followed as far; and looks, under the locks, at what the live state has read since.

    following: the live offsets at the beginning. Of records from there on it must be told by `heard`.
    """

    def __init__(self, live: str, new: str, following: Mapping[TopicPartition, int]) -> None:
        self._names = {"live": live, "new": new}
        self._following = following
        self._heard: defaultdict[TopicPartition, list[tuple[int, str]]] = defaultdict(list)
        self._captured: dict[TopicPartition, int] | None = None  # the live offsets then
        self._touched: set[str] = set()  # by operators since
        self._candidates: dict[str, _Row] = {}

    def heard(self, place: TopicPartition, records: Sequence[Record]) -> None:
        following = self._following.get(place, 0)
        if records and records[-1].offset >= following:
            late = (each for each in records if each.offset >= following and each.key is not None)
            self._heard[place] += [(each.offset, (each.key or b"").decode("utf-8", "replace")) for each in late]

    def touched(self, subjects: Iterable[str]) -> None:
        self._touched.update(subjects)

    async def capture(self, connection: asyncpg.Connection) -> None:
        """What the new state lacks now. It may only be late, as is seen by `judge`."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            now = await self._offsets(connection)
            due = None if self._captured is None else self._due(now, self._captured)
            found = await self._behind(connection, due)
        self._candidates |= found
        self._captured = now
        self._touched = set()

    async def judge(self, connection: asyncpg.Connection) -> Loss:
        """What it still lacks of that, after it has followed log and journal beyond the capture."""
        loss = Loss()
        subjects = sorted(self._candidates)
        for start in range(0, len(subjects), AT_ONCE):
            asked = subjects[start : start + AT_ONCE]
            here = {row["subject"]: _row(row) for row in await connection.fetch(HERE.format(**self._names), asked)}
            for subject in asked:
                _add(loss, subject, self._candidates[subject], here.get(subject))
        if not loss:
            self._candidates = {}
        for row in await connection.fetch(NOT_IN_JOURNAL.format(**self._names)):
            loss.add(row["subject"], False, row["facts"])
        return loss

    async def since(self, connection: asyncpg.Connection, most: int) -> Loss | None:
        """What it lacks of what the live state went on with since the capture; None where that is more than `most` subjects. For under the
        locks, when the new state has followed as far."""
        assert self._captured is not None
        due = self._due(await self._offsets(connection), self._captured)
        if len(due) > most:
            return None
        loss = Loss()
        there = await self._behind(connection, due)
        here = {row["subject"]: _row(row) for row in await connection.fetch(HERE.format(**self._names), sorted(there))}
        for subject, row in there.items():
            _add(loss, subject, row, here.get(subject))
        return loss

    async def _offsets(self, connection: asyncpg.Connection) -> dict[TopicPartition, int]:
        rows = await connection.fetch(OFFSETS.format(**self._names))
        return {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}

    def _due(self, now: Mapping[TopicPartition, int], before: Mapping[TopicPartition, int]) -> Set[str]:
        due = set(self._touched)
        for place, heard in self._heard.items():
            due.update(subject for offset, subject in heard if before.get(place, 0) <= offset < now.get(place, 0))
        return due

    async def _behind(self, connection: asyncpg.Connection, due: Set[str] | None) -> dict[str, _Row]:
        query = BEHIND.format(**self._names, which="true" if due is None else "l.subject = ANY ($1::text[])")
        rows = await connection.fetch(query, *([] if due is None else [sorted(due)]))
        return {row["subject"]: _row(row) for row in rows}


def _row(row: asyncpg.Record) -> _Row:
    return _Row(row["done"], orjson.loads(row["versions"]))


def _add(loss: Loss, subject: str, there: _Row, here: _Row | None) -> None:
    read = here.versions if here is not None else {}
    versions = sum(max(0, version - read.get(source, 0)) for source, version in there.versions.items())
    gone = here is None or (there.done and not here.done)
    if gone or versions:
        loss.add(subject, gone, versions)
