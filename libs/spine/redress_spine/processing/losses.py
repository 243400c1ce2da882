"""What a swap would take away: rows and versions that the live state has and the new one lacks, folded or parked.

Compared by version and never by offset, so that it holds for a log that was written again too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

import asyncpg
import orjson
from aiokafka import TopicPartition

from redress_spine.processing.projector import JOURNAL

# One pass over both states, joined by their primary keys. Rows whose versions are the same, nearly all, are not looked into.
# {which}: all, or those named in $1.
BEHIND = """
SELECT l.subject, l.own <> '{{}}' AS own,
       (SELECT coalesce(jsonb_object_agg(r.key, r.value -> 'v'), '{{}}') FROM jsonb_each(l.read) r)::text AS versions
FROM {live}.state l LEFT JOIN {new}.state n ON n.subject = l.subject
WHERE {which} AND (n.subject IS NULL AND (l.parked OR l.own <> '{{}}' OR l.read <> '{{}}')
    OR l.own <> '{{}}' AND n.own = '{{}}'
    OR l.read <> n.read AND EXISTS (
        SELECT FROM jsonb_each(l.read) r WHERE (r.value ->> 'v')::bigint > coalesce((n.read -> r.key ->> 'v')::bigint, 0)))
"""
HERE = """
SELECT n.subject, n.own <> '{{}}' AS own,
       (SELECT coalesce(jsonb_object_agg(r.key, r.value -> 'v'), '{{}}') FROM jsonb_each(n.read) r)::text AS versions
FROM {new}.state n WHERE n.subject = ANY ($1::text[])
"""
# Own events that the log has and the journal lacks, where the live state does not say so.
NOT_IN_JOURNAL = """
SELECT n.subject, count(*) AS events FROM {new}.parked n
WHERE n.reason = 'not-in-journal' AND NOT EXISTS (SELECT FROM {live}.parked l WHERE l.subject = n.subject AND l.reason = n.reason)
GROUP BY n.subject ORDER BY n.subject
"""
# Events that wait there and not here: where the log lost its end, nobody else who reads it has them. Not those without the headers of a
# event, nor what nobody could fold (a stranger's), nor what was passed over or set aside. {which}: as above, of p.
WAITING = """
SELECT p.subject, p.headers ->> 'source' AS source, p.headers ->> 'streamversion' AS version, p.headers ->> 'hash' AS hash
FROM {live}.parked p
WHERE {which} AND p.headers ?& ARRAY['source', 'streamversion', 'hash'] AND p.reason <> ALL ('{{malformed,wrong-hash,no-chain}}')
    AND NOT EXISTS (SELECT FROM {new}.parked n WHERE n.subject = p.subject AND n.headers = p.headers)
    AND NOT EXISTS (SELECT FROM public.skips s WHERE (s.topic, s.partition, s.content) = (p.topic, p.partition, p.content))
    AND NOT EXISTS (SELECT FROM {new}.dead_letters a WHERE (a.topic, a.partition, a."offset", a.hash)
        = (p.topic, p.partition, p."offset", decode(p.headers ->> 'hash', 'hex')))
"""
WAITING_HERE = """
SELECT p.subject, p.headers ->> 'source' AS source, p.headers ->> 'streamversion' AS version, p.headers ->> 'hash' AS hash
FROM {new}.parked p WHERE p.subject = ANY ($1::text[]) AND p.headers ?& ARRAY['source', 'streamversion', 'hash']
"""
# Whatever a snapshot sees was written by transactions below this one.
BELOW = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
OFFSETS = "SELECT topic, partition, next FROM {live}.consumer_offsets"
NAMED = 5  # subjects
AT_ONCE = 5_000  # rows
MOST_DIGITS = 19  # of a version: PostgreSQL's bigint


@dataclass(slots=True)
class Loss:
    """rows: subjects that would have no row, or no own events. versions: events that the new state, or the journal, knows nothing of."""

    rows: int = 0
    versions: int = 0
    subjects: int = 0
    named: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.subjects > 0

    def __str__(self) -> str:
        more = f" and {self.subjects - len(self.named)} more" if self.subjects > len(self.named) else ""
        return f"{self.rows} rows and {self.versions} versions of {self.subjects} subjects: {', '.join(self.named)}{more}"

    def add(self, subject: str, gone: bool, versions: int) -> None:
        self.rows += gone
        self.versions += versions
        self.subjects += 1
        if len(self.named) < NAMED:
            self.named.append(subject)


Waits = tuple[str, int, bytes]  # source, version and hash of an event


@dataclass(frozen=True, slots=True)
class _Row:
    done: bool
    versions: Mapping[str, int]
    waiting: frozenset[Waits] = frozenset()


class Losses:
    """Captures what the new state lacks, all of it the first time and from then on where the live state went on; judges it once the new
    state has followed as far; and looks, under the locks, at what the live state has read since.

    Of records that the live state had not read at the beginning it must be told by `observed`.
    late: subjects whose own events are committed and not folded yet: an older transaction that is still open anywhere in the cluster
    holds the watermark below theirs. Under the locks, where all of the journal is folded, `since` looks at them.
    """

    def __init__(self, live: str, new: str) -> None:
        self._names = {"live": live, "new": new}
        self._observed: defaultdict[TopicPartition, list[tuple[int, str]]] = defaultdict(list)
        self._captured: dict[TopicPartition, int] | None = None  # the live offsets then
        self._below = 0  # the transaction below which all is that was seen then
        self.late: set[str] = set()
        self._touched: set[str] = set()  # by operators since
        self._candidates: dict[str, _Row] = {}

    def observed(self, place: TopicPartition, late: Iterable[tuple[int, str]]) -> None:
        """late: offsets and subjects."""
        self._observed[place] += late

    def touched(self, subjects: Iterable[str]) -> None:
        self._touched.update(subjects)

    async def capture(self, connection: asyncpg.Connection) -> None:
        """What the new state lacks now. It may only be late, as is seen by `judge`."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            now = await self._offsets(connection)
            self._below = int(await connection.fetchval(BELOW))
            due = None if self._captured is None else self._due(now, self._captured)
            found = await self._behind(connection, due)
        self._candidates |= found
        self._captured = now
        self._touched = set()

    async def judge(self, connection: asyncpg.Connection, watermark: int) -> Loss:
        """What it still lacks of that, after it has followed the log beyond the capture. watermark: the transaction below which the
        journal is folded."""
        loss, self.late = Loss(), set()
        subjects = sorted(self._candidates)
        for start in range(0, len(subjects), AT_ONCE):
            asked = subjects[start : start + AT_ONCE]
            here = await self._here(connection, {subject: self._candidates[subject] for subject in asked})
            for subject in asked:
                rows, versions = _lacks(self._candidates[subject], here.get(subject))
                if rows and not versions and watermark < self._below:
                    self.late.add(subject)
                elif rows or versions:
                    loss.add(subject, rows, versions)
        if not loss:
            self._candidates = {subject: self._candidates[subject] for subject in self.late}
        for row in await connection.fetch(NOT_IN_JOURNAL.format(**self._names)):
            loss.add(row["subject"], False, row["events"])
        return loss

    async def since(self, connection: asyncpg.Connection, most: int) -> Loss | None:
        """What it lacks of what the live state went on with since the capture, and of what was late; None where that is more than `most`
        subjects. For under the locks, when the new state has followed as far."""
        assert self._captured is not None
        due = self._due(await self._offsets(connection), self._captured) | self.late
        if len(due) > most:
            return None
        loss = Loss()
        there = await self._behind(connection, due)
        here = await self._here(connection, there)
        for subject, row in there.items():
            rows, versions = _lacks(row, here.get(subject))
            if rows or versions:
                loss.add(subject, rows, versions)
        return loss

    async def _offsets(self, connection: asyncpg.Connection) -> dict[TopicPartition, int]:
        rows = await connection.fetch(OFFSETS.format(**self._names))
        return {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}

    def _due(self, now: Mapping[TopicPartition, int], before: Mapping[TopicPartition, int]) -> Set[str]:
        due = set(self._touched)
        for place, observed in self._observed.items():
            due.update(subject for offset, subject in observed if before.get(place, 0) <= offset < now.get(place, 0))
        return due

    async def _behind(self, connection: asyncpg.Connection, due: Set[str] | None) -> dict[str, _Row]:
        which, named = ("true", []) if due is None else ("{}.subject = ANY ($1::text[])", [sorted(due)])
        rows = await connection.fetch(BEHIND.format(**self._names, which=which.format("l")), *named)
        behind = {row["subject"]: _row(row) for row in rows}
        waiting = _waiting(await connection.fetch(WAITING.format(**self._names, which=which.format("p")), *named))
        for subject, events in waiting.items():
            row = behind.get(subject, _Row(False, {}))
            behind[subject] = replace(row, waiting=frozenset(events))
        return behind

    async def _here(self, connection: asyncpg.Connection, there: Mapping[str, _Row]) -> dict[str, _Row]:
        """The new state's rows of these subjects. What the journal has by now counts as waiting: it is not lost."""
        here = {row["subject"]: _row(row) for row in await connection.fetch(HERE.format(**self._names), list(there))}
        if due := [(subject, *event) for subject, row in there.items() for event in row.waiting]:
            subjects = sorted({subject for subject, *_ in due})
            waiting = _waiting(await connection.fetch(WAITING_HERE.format(**self._names), subjects))
            rows = await connection.fetch(JOURNAL, [subject for subject, *_ in due], [version for _, _, version, _ in due])
            journal = {(row["stream"], row["version"]): row["hash"] for row in rows}
            for subject, source, version, digest in due:
                if journal.get((subject, version)) == digest:
                    waiting[subject].add((source, version, digest))
            for subject in waiting:
                here[subject] = replace(here.get(subject, _Row(False, {})), waiting=frozenset(waiting[subject]))
        return here


def _row(row: asyncpg.Record) -> _Row:
    return _Row(row["own"], orjson.loads(row["versions"]))


def _waiting(rows: Iterable[asyncpg.Record]) -> defaultdict[str, set[Waits]]:
    """By subject. Headers are whatever somebody wrote."""
    found: defaultdict[str, set[Waits]] = defaultdict(set)
    for row in rows:
        source, version, digest = (bytes.fromhex(row[name]) for name in ("source", "version", "hash"))
        if version.isdigit() and len(version) < MOST_DIGITS:
            found[row["subject"]].add((source.decode("utf-8", "replace"), int(version), digest))
    return found


def _lacks(there: _Row, here: _Row | None) -> tuple[bool, int]:
    """Whether its row, or its own events, would be gone; and how many versions."""
    read = here.versions if here is not None else {}
    versions = sum(max(0, version - read.get(source, 0)) for source, version in there.versions.items())
    waiting = there.waiting - (here.waiting if here is not None else frozenset())
    versions += sum(version > max(read.get(source, 0), there.versions.get(source, 0)) for source, version, _ in waiting)
    return here is None or (there.done and not here.done), versions
