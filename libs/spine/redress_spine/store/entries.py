"""Lists that grow with a subject's history: each entry is a row of its own, made of one event, and a page of them is bounded in bytes.

A state that is rewritten with each event holds none of them, and no answer holds all. An entry's place is its time, so it does not matter
in which order the events of several services come. It is made of events in the subject's own stream: source and version name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from redress_events.event import EPOCH, Event, micros
from redress_spine.aggregate import Aggregate
from redress_spine.store.states import Connection

BYTES = 256 * 1024  # of a page: the entry that passes it is the last one
COLUMNS = ["subject", "list", "source", "version", "at", "data", "size"]
WRITE = """
INSERT INTO entries (subject, list, source, version, at, data, size)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::jsonb[], $7::int[]) ON CONFLICT DO NOTHING
"""
# The newest entries of each list below a place, as many as are wanted and until they have so many bytes. Index: entries_pkey.
LATEST = """
SELECT w.list, e.source, e.version, e.at, e.data, e.found
FROM unnest($2::text[]) WITH ORDINALITY w (list, place) CROSS JOIN LATERAL (
    SELECT f.*, sum(f.size) OVER (ORDER BY f.at DESC, f.source DESC, f.version DESC) - f.size AS before, count(*) OVER () AS found
    FROM (
        SELECT n.source, n.version, n.at, n.data, n.size FROM entries n
        WHERE n.subject = $1 AND n.list = w.list AND (n.at, n.source, n.version) < ($4::bigint, $5::text, $6::bigint)
        ORDER BY n.at DESC, n.source DESC, n.version DESC LIMIT $3
    ) f
) e
WHERE e.before < $7::bigint
ORDER BY w.place, e.at DESC, e.source DESC, e.version DESC
"""

# How many events of each source a subject's list knows, and its entries of events that a reader has not seen, who knows so many of each
# source: an entry may come after one of a later time, for its place is its time. Index: entries_pkey.
KNOWN = "SELECT source, max(version) AS version FROM entries WHERE subject = $1 AND list = $2 GROUP BY source"
UNSEEN = """
SELECT e.source, e.version, e.at, e.data FROM entries e JOIN unnest($3::text[], $4::bigint[], $5::bigint[]) k (source, seen, known)
ON k.source = e.source AND e.version > k.seen AND e.version <= k.known
WHERE e.subject = $1 AND e.list = $2 ORDER BY e.at DESC, e.source DESC, e.version DESC LIMIT $6
"""

EntryRow = tuple[str, str, int, int, str, int]  # list, source, version, at (µs), data (JSON), bytes
EntryPlace = tuple[int, str, int]  # at (µs), source, version
Opened = Mapping[str, str]  # words in clear, by their reference; what was forgotten is missing
BEGINNING: EntryPlace = (2**63 - 1, "", 0)  # before the newest


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry as it is read. data: as the fold made it; words in it are references."""

    source: str
    version: int
    at: datetime
    data: Mapping[str, Any]

    @property
    def place(self) -> EntryPlace:
        return micros(self.at), self.source, self.version


@dataclass(frozen=True, slots=True)
class Latest:
    """Entries of a list, the newest first. more: whether there are older ones."""

    entries: Sequence[Listed] = ()
    more: bool = False


def row_of(aggregate: Aggregate, event: Event, source: str, version: int, at: datetime, blobs: Iterable[bytes]) -> EntryRow | None:
    """What this event adds to a list. blobs: its ciphertexts, for their size: what an answer would have to open."""
    entry = aggregate.entries(event, at)
    if entry is None:
        return None
    data = orjson.dumps(entry.data, option=orjson.OPT_SORT_KEYS)
    return entry.list, source, version, micros(entry.at or at), data.decode(), len(data) + sum(map(len, blobs))


async def latest(
    connection: Connection, subject: str, lists: Sequence[str], limit: int, after: EntryPlace = BEGINNING, most: int = BYTES
) -> dict[str, Latest]:
    """By list, up to `limit` of its entries behind the place `after`, the newest first, and no more than `most` bytes and one entry."""
    found: dict[str, list[asyncpg.Record]] = {name: [] for name in lists}
    for row in await connection.fetch(LATEST, subject, list(lists), limit + 1, *after, most):
        found[row["list"]].append(row)
    return {name: _latest(rows, limit) for name, rows in found.items()}


async def unseen(
    connection: Connection, subject: str, name: str, seen: Mapping[str, int], limit: int
) -> tuple[list[Listed], dict[str, int]]:
    """What a list has that was not seen, the oldest first, and all that is known of it by then: events, by their source. Of more than
    `limit` entries the newest."""
    known = {row["source"]: row["version"] for row in await connection.fetch(KNOWN, subject, name)}
    news = {source: version for source, version in known.items() if version > seen.get(source, 0)}
    if not news:
        return [], known
    rows = await connection.fetch(UNSEEN, subject, name, list(news), [seen.get(each, 0) for each in news], list(news.values()), limit)
    return [_listed(row) for row in reversed(rows)], known


def _listed(row: asyncpg.Record) -> Listed:
    return Listed(row["source"], row["version"], EPOCH + timedelta(microseconds=row["at"]), orjson.loads(row["data"]))


def _latest(rows: Sequence[asyncpg.Record], limit: int) -> Latest:
    entries = [_listed(row) for row in rows[:limit]]
    return Latest(entries, bool(rows) and rows[0]["found"] > len(entries))
