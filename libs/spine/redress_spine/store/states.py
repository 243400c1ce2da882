"""Rows of state: read one or a thousand in one statement, with the head of their own journal stream beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from aiokafka.partitioner import murmur2
from pydantic import TypeAdapter

from redress_events.event import Event
from redress_spine.aggregate import Aggregate, Table
from redress_spine.messaging.envelope import GENESIS

# State and journal head in one snapshot: what a `Row` is made of, and where it is found. Index: state_pkey, events_pkey.
ROW = "s.subject, s.partition, s.revision, s.decided, s.parked, s.observed, s.own, s.cause, h.version, h.hash"
WITH_HEAD = """
LEFT JOIN LATERAL (SELECT e.version, e.hash FROM events e WHERE e.stream = s.subject ORDER BY e.version DESC LIMIT 1) h ON true
"""
LOAD = f"SELECT {ROW} FROM state s {WITH_HEAD} WHERE s.subject = ANY ($1::text[])"
REVISIONS = "SELECT subject, revision FROM state WHERE subject = ANY ($1::text[])"  # of those that are followed. Index: state_pkey.
HEADS = """
SELECT w.stream, h.version, h.hash
FROM unnest($1::text[]) w (stream)
JOIN LATERAL (SELECT e.version, e.hash FROM events e WHERE e.stream = w.stream ORDER BY e.version DESC LIMIT 1) h ON true
"""


@dataclass(frozen=True, slots=True)
class Query:
    """A list that users page through. where: SQL over columns of the state, or of the projection's table that it names, `$1 …` its filters.
    order: a bigint column, not null within it. own: the index that one department's part of it is read from, where the table has a column
    `department`. near: the index that the part of one area is read from, where the table has a column `area`, '' for none. by_channel: the
    same of one channel, where it has a column `channel`. owner: the column that says whose a row is. mine: the index that one owner's part
    is read from, where `index` does not serve it."""

    name: str
    where: str
    order: str
    index: str
    own: str | None = None
    owner: str | None = None
    table: Table | None = None
    near: str | None = None
    mine: str | None = None
    by_channel: str | None = None
    parts_at: int = 0  # which filter names the parts, areas or channels, and which one a department beside them; 0: none
    part: str = "area"  # the column that the parts are told apart by
    department_at: int = 0

    def of_department(self, filters: int) -> Query:
        """One department's part; the filter after the others names it. Raises ValueError where the list has no such parts."""
        if self.own is None:
            raise ValueError(f"The list {self.name} is not told apart by department.")
        return replace(self, where=f"({self.where}) AND s.department = ${filters + 1}::text", index=self.own)

    def of_owner(self, filters: int) -> Query:
        """One owner's part; the filter after the others names them. Raises ValueError where the list has no such parts."""
        if self.owner is None:
            raise ValueError(f"The list {self.name} is not told apart by owner.")
        return replace(self, where=f"({self.where}) AND s.{self.owner} = ${filters + 1}::text", index=self.mine or self.index)

    def of_areas(self, filters: int, *, with_department: bool = False) -> Query:
        """The part of some areas; the filter after the others names them. with_department: what lies with a department too, whom the next
        filter names. Raises ValueError where the list has no such parts."""
        if self.near is None or (with_department and self.own is None):
            raise ValueError(f"The list {self.name} is not told apart by area.")
        return replace(self, index=self.near, parts_at=filters + 1, department_at=filters + 2 if with_department else 0)

    def of_channels(self, filters: int) -> Query:
        """The part of some channels; the filter after the others names them. Raises ValueError where the list has no such parts."""
        if self.by_channel is None:
            raise ValueError(f"The list {self.name} is not told apart by channel.")
        return replace(self, index=self.by_channel, parts_at=filters + 1, part="channel")

    def sql(self, filters: int) -> str:
        bounds = [f"${filters + n}" for n in (1, 2, 3)]
        if not self.parts_at:
            return self._part(self.where, *bounds)
        # Each part in its order, from its index, and the first of them all: whatever waits in other areas or channels is not read.
        named = f"${self.parts_at}::text[]"
        one = self._part(f"({self.where}) AND s.{self.part} = a.name", *bounds)
        parts = f"SELECT p.* FROM unnest({named}) a (name) CROSS JOIN LATERAL ({one}) p"
        if self.department_at:
            elsewhere = f"({self.where}) AND s.department = ${self.department_at}::text AND s.area <> ALL ({named})"
            parts += f" UNION ALL ({self._part(elsewhere, *bounds)})"
        return f"SELECT f.subject, f.place FROM ({parts}) f ORDER BY f.place, f.subject LIMIT {bounds[2]}"

    def _part(self, where: str, after: str, subject: str, limit: str) -> str:
        return (
            f"SELECT s.subject, s.{self.order} AS place FROM {self.table.name if self.table else 'state'} s WHERE ({where}) AND "
            f"(s.{self.order}, s.subject) > ({after}::bigint, {subject}::text) ORDER BY s.{self.order}, s.subject LIMIT {limit}"
        )


@dataclass(frozen=True, slots=True)
class Grouping:
    """How many rows of a projection's table are alike, in these columns and in how long ago the instant in the bigint column `since` was.
    The table is read whole: it is for one that has what is open and no more."""

    table: Table
    by: tuple[str, ...]
    since: str

    @property
    def sql(self) -> str:
        """$1: now, in epoch microseconds. $2: the ages, in microseconds, that part the rows; `age` is how many of them a row is past."""
        columns = ", ".join(f"t.{name}" for name in self.by)
        age = f"width_bucket($1::bigint - t.{self.since}, $2::bigint[])"
        return f"SELECT {columns}, {age} AS age, count(*) AS n FROM {self.table.name} t GROUP BY {columns}, age ORDER BY {columns}, age"


@dataclass(frozen=True, slots=True)
class Row:
    """One subject as read: its state, and where its own stream ends. revision 0: not there yet. decided: moves with `own` alone."""

    subject: str
    partition: int
    revision: int
    parked: bool
    observed: Any
    own: Any
    cause: Mapping[str, str]
    version: int
    hash: bytes
    decided: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """One subject as a caller sees it. made: the last event of the command that it answers, its words as references, and when. What a
    command made when it came first is what it makes when it is repeated."""

    subject: str
    state: Any
    etag: str
    parked: bool
    version: int
    made: tuple[Event, datetime] | None = None

    @property
    def id(self) -> UUID:
        return UUID(self.subject.partition("/")[2])


class Codec:
    """A kind's facets, to and from jsonb. Defaults are left out, so a new field changes no stored byte."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        observed, own = aggregate.facets
        self.observed: TypeAdapter[Any] = TypeAdapter(observed)
        self.own: TypeAdapter[Any] = TypeAdapter(own)
        self._several: TypeAdapter[Any] = TypeAdapter(list[observed])  # type: ignore[valid-type]
        self.nothing = observed(), own()  # of a subject of which nothing is known yet; frozen, so one serves all

    def dump_observed(self, observed: Any) -> str:
        return _dump(self.observed, observed).decode()

    def check_observed(self, several: Sequence[Any]) -> None:
        """Raises where `dump_observed` would for any of them. Each call costs as much as a small facet."""
        _dump(self._several, list(several))

    def dump_own(self, own: Any) -> str:
        return _dump(self.own, own).decode()

    def load_observed(self, text: str) -> Any:
        return self.observed.validate_json(text)

    def load_own(self, text: str) -> Any:
        return self.own.validate_json(text)

    def etag(self, observed: Any, own_json: str, parked: bool) -> str:
        """Equal after a rebuild, unchanged by events that change nothing."""
        observed_json = b"{}" if observed is self.nothing[0] else _dump(self.observed, observed)
        return hashlib.sha256(observed_json + b"\n" + own_json.encode() + b"\nparked" * parked).hexdigest()[:32]

    def loaded(self, row: Row) -> Loaded:
        state = self.aggregate.state(observed=row.observed, own=row.own)
        return Loaded(row.subject, state, self.etag(row.observed, self.dump_own(row.own), row.parked), row.parked, row.version)


def _dump(adapter: TypeAdapter[Any], facet: Any) -> bytes:
    """The same bytes for equal facets: jsonb gives a dict's keys back in an order of its own. Raises where a fold made another type."""
    return orjson.dumps(
        adapter.serializer.to_python(facet, mode="json", exclude_defaults=True, warnings="error"), option=orjson.OPT_SORT_KEYS
    )


class States:
    """The state table of one service. Kinds are distinguished by the first part of the subject."""

    def __init__(self, aggregates: Mapping[str, Aggregate], partitions: int) -> None:
        self.codecs = {name: Codec(aggregate) for name, aggregate in aggregates.items()}
        self.partitions = partitions

    def codec(self, subject: str) -> Codec:
        return self.codecs[subject.partition("/")[0]]

    def partition(self, subject: str) -> int:
        return partition_of(subject, self.partitions)

    def fresh(self, subject: str) -> Row:
        return Row(subject, self.partition(subject), 0, False, *self.codec(subject).nothing, {}, 0, GENESIS)

    async def load(self, connection: Connection, subjects: Iterable[str]) -> dict[str, Row]:
        """Rows that are there, by subject, read without a lock."""
        return self.rows(await connection.fetch(LOAD, list(subjects)))

    def rows(self, records: Iterable[asyncpg.Record]) -> dict[str, Row]:
        """By subject, in their order."""
        return {record["subject"]: self.row(record) for record in records}

    def row(self, record: asyncpg.Record) -> Row:
        codec = self.codec(record["subject"])
        return Row(
            record["subject"],
            record["partition"],
            record["revision"],
            record["parked"],
            codec.load_observed(record["observed"]),
            codec.load_own(record["own"]),
            orjson.loads(record["cause"]),
            record["version"] or 0,
            record["hash"] or GENESIS,
            record["decided"],
        )


Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool


async def one(connection: Connection, query: str, *args: Any) -> asyncpg.Record:
    """The row of a query that always has one."""
    row = await connection.fetchrow(query, *args)
    assert row is not None, query
    return row


async def heads(connection: Connection, streams: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """Last version and hash of streams other than the subject's own."""
    return {row["stream"]: (row["version"], row["hash"]) for row in await connection.fetch(HEADS, list(streams))}


@lru_cache(8192)  # each subject is asked for by commit, relay and projector
def partition_of(key: str, partitions: int) -> int:
    """Kafka's default partitioner."""
    hashed: int = murmur2(key.encode())
    return (hashed & 0x7FFFFFFF) % partitions
