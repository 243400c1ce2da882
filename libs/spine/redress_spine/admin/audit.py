"""The audit trail as its readers have it: who read what, whether a record was changed or taken away, and how old chains go.

Long, for listing, comparing and pruning a chain share what a record of it is.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import orjson

from redress_spine.store import audit, connections
from redress_spine.store.audit import BEGUN, CHAIN_LASTS, ENDED, PRUNED, Link, audit_key, genesis, hash_of, key_name, mac_of
from redress_spine.store.keyring import Keyring
from redress_spine.store.master_keys import root_of

MOST_DIFFERENCES = 50  # that a report names
MOST_CHAINS = 100_000  # of which heads are told: each is a process's day
AT_ONCE = 500  # rows that a cursor fetches
YOUNGEST = 2 * CHAIN_LASTS  # a chain that old has ended
ROWS = "SELECT writer, number, at, subjects, record, hash, mac FROM public.audit"
# Few are about one subject: they are found first, and put in order then. Index: audit_subjects.
ABOUT = f"WITH about AS MATERIALIZED ({ROWS} WHERE subjects @> ARRAY[$1::text])"
WHOLE = f"{ROWS} ORDER BY writer, number"
# What names other chains: the first record of each, and those of a pruning. A pruning's chain has them at its beginning.
NAMING = f"{ROWS} WHERE number <= 2 ORDER BY writer, number"
# A pruning's own chain stays until all are gone that may name what it took away.
OLD = """
SELECT b.writer, h.number, h.hash FROM (SELECT writer FROM public.audit WHERE number = 1 AND at < $1) b
CROSS JOIN LATERAL (SELECT a.number, a.hash, a.at FROM public.audit a WHERE a.writer = b.writer ORDER BY a.number DESC LIMIT 1) h
WHERE h.at < $1 AND NOT EXISTS (
    SELECT 1 FROM public.audit p
    WHERE p.writer = b.writer AND p.number = 2 AND p.record::jsonb ->> 'kind' = 'pruned' AND p.at >= $1 - $2::interval
)
"""
DELETE = "DELETE FROM public.audit WHERE writer = ANY ($1::uuid[])"


class Head(NamedTuple):
    """What is known from elsewhere of a chain: the number and the hash, in hex, of a record of it. hash: None where only the number is
    known."""

    writer: UUID
    number: int
    hash: str | None
    service: str | None = None


class CannotPrune(Exception):
    """Nothing was taken away. The message says why."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are listed; all of it is optional. subject, who: by whole names. kinds: reading, refusal, break-glass and what is about
    chains."""

    subject: str | None = None
    who: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    kinds: Sequence[str] = ()

    def sql(self) -> tuple[str, list[Any]]:
        """The rows, and what stands for `$1 …`."""
        given = [
            ("record::jsonb ->> 'who' = ${}::text", self.who),
            ("at >= ${}::timestamptz", self.since),
            ("at < ${}::timestamptz", self.until),
            ("record::jsonb ->> 'kind' = ANY (${}::text[])", list(self.kinds) or None),
        ]
        asked = [(condition, value) for condition, value in given if value is not None]
        about = [self.subject] if self.subject is not None else []
        where = " AND ".join(condition.format(n) for n, (condition, _) in enumerate(asked, 1 + len(about))) or "true"
        values = [*about, *(value for _, value in asked)]
        return (f"{ABOUT} SELECT * FROM about WHERE {where}" if about else f"{ROWS} WHERE {where}"), values


@dataclass(frozen=True, slots=True)
class AuditDifference:
    """Where a trail is not as it was written, and what is wrong."""

    writer: str
    number: int
    what: str


@dataclass(slots=True)
class AuditReport:
    """kinds: how many records of each kind. open: chains without an end: their process runs, was killed, or the end was cut off.
    macs: whether the master key was there to compare them. keys: the names of those that sealed a chain. heads: how many records of it
    were known from elsewhere; without any, nobody sees that its end, or all of it, was deleted. more: differences beyond those that are
    named."""

    service: str
    chains: int = 0
    open: int = 0
    records: int = 0
    macs: bool = True
    heads: int = 0
    keys: list[str] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    differences: list[AuditDifference] = field(default_factory=list)
    more: int = 0

    @property
    def whole(self) -> bool:
        return not self.differences


class Check:
    """Compares a trail with itself. First `name` is given what names other chains, then `take` each record, chain by chain, in order of
    their numbers; `finish` at the end.

    keys: the master keys that sealed it; none: MACs are not compared.
    """

    def __init__(self, service: str, masters: Sequence[bytes], heads: Iterable[Head] = ()) -> None:
        self.report = AuditReport(service, macs=bool(masters))
        self._keys = {key_name(key): key for key in map(audit_key, masters)}
        self._named: dict[UUID, dict[int, str | None]] = {}
        self._pruned: dict[UUID, tuple[int, str]] = {}
        self._seen: set[UUID] = set()
        self._writer: UUID | None = None
        self._number, self._hash, self._kind = 0, b"", ""
        self._key: bytes | None = None
        for head in heads:
            if head.service in (None, service):
                self.report.heads += 1
                self._name(head.writer, head.number, head.hash)

    def name(self, links: Iterable[Link]) -> None:
        """What these records say of other chains, where their MACs are right: somebody else's are found by `take`."""
        key: bytes | None = None
        for link in links:
            said = _read(link.record)
            if said.get("kind") == BEGUN:
                key = self._keys.get(said.get("key", ""))
            if self._keys and (key is None or not hmac.compare_digest(mac_of(key, link.hash), link.mac)):
                continue
            for writer, (number, hash) in said.get("heads", {}).items():
                self._name(UUID(writer), number, hash)
            for writer, (number, hash) in said.get("chains", {}).items():
                self._pruned[UUID(writer)] = number, hash

    def take(self, link: Link, at: datetime | None = None, subjects: Sequence[str] | None = None) -> None:
        """at, subjects: the columns beside the record, where it comes from the table."""
        said = _read(link.record)
        if link.writer != self._writer:
            self._end_of_chain()
            self._begin_chain(link, said)
        if link.number <= self._number:
            self._differs(link, f"It stands behind record {self._number}: the lines were doubled, or their order was changed.")
            return
        if link.number != self._number + 1:
            missing = link.number - self._number - 1
            self._differs(link, f"{missing} {'record is' if missing == 1 else 'records are'} missing before it.")
        elif hash_of(self._hash, link.number, link.record) != link.hash:
            self._differs(link, "It was changed, or a record before it was.")
        if self._key is not None and not hmac.compare_digest(mac_of(self._key, link.hash), link.mac):
            self._differs(link, "It was not written by this service: its MAC is wrong.")
        if subjects is not None and (at is None or audit.stamp(at) != said.get("at") or set(subjects) != set(said.get("subjects", {}))):
            self._differs(link, "Its columns were changed: they are not what the record says.")
        if self._named.get(link.writer, {}).pop(link.number, None) not in (None, link.hash.hex()):
            self._differs(link, "Logs or exports name a different record here.")
        self._number, self._hash, self._kind = link.number, link.hash, str(said.get("kind"))
        self.report.records += 1
        self.report.kinds[self._kind] = self.report.kinds.get(self._kind, 0) + 1

    def finish(self) -> AuditReport:
        self._end_of_chain()
        for writer, named in self._named.items():
            last = max(named, default=0)
            if writer in self._seen or not last or writer in self._pruned:
                continue
            self._add(writer, last, f"The chain is missing, of which {last} records are known.")
        return self.report

    def _begin_chain(self, link: Link, said: Mapping[str, Any]) -> None:
        self._writer, self._number, self._hash = link.writer, 0, genesis(link.writer)
        if link.writer in self._seen:
            self._differs(link, "Its chain stands here a second time, behind another one: the order of the lines was changed.")
        self._seen.add(link.writer)
        self.report.chains += 1
        self._key = self._keys.get(name := str(said.get("key", "")))
        self.report.keys += [name] if self._key is not None and name not in self.report.keys else []
        if link.number == 1 and said.get("kind") != BEGUN:
            self._differs(link, "It is not the beginning of a chain.")
        elif link.number == 1 and self._keys and self._key is None:
            self._differs(link, f"The chain was sealed under another master key ({said.get('key')}): name its file with --master-key.")

    def _end_of_chain(self) -> None:
        """What was named beyond its last record was cut off."""
        if self._writer is None:
            return
        if self._kind != ENDED:
            self.report.open += 1
        if beyond := [number for number in self._named.get(self._writer, {}) if number > self._number]:
            self._add(self._writer, self._number, f"The chain ends here, and had at least {max(beyond)} records: its end was cut off.")

    def _name(self, writer: UUID, number: int, hash: str | None) -> None:
        named = self._named.setdefault(writer, {})
        named[number] = hash or named.get(number)

    def _differs(self, link: Link, what: str) -> None:
        self._add(link.writer, link.number, what)

    def _add(self, writer: UUID, number: int, what: str) -> None:
        if len(self.report.differences) < MOST_DIFFERENCES:
            self.report.differences.append(AuditDifference(str(writer), number, what))
        else:
            self.report.more += 1


async def verify(service: str, dsn: str, masters: Sequence[bytes], heads: Iterable[Head] = (), ring: Keyring | None = None) -> AuditReport:
    """Compare a service's trail with itself, with the master keys, and with what is known of its chains from elsewhere. ring: the master
    keys in use, by which the database knows what its chains are sealed with. Raises MasterKeyAway."""
    async with _snapshot(dsn) as connection:
        check = Check(service, [*masters, *([await root_of(connection, ring)] if ring is not None else [])], heads)
        check.name([link_of(row) async for row in connection.cursor(NAMING, prefetch=AT_ONCE)])
        async for row in connection.cursor(WHOLE, prefetch=AT_ONCE):
            check.take(link_of(row), row["at"], row["subjects"])
    return check.finish()


async def listed(dsn: str, wanted: Filter, limit: int | None = None) -> AsyncIterator[Link]:
    """The newest records that fit, the newest first; or without a limit all of them, chain by chain in the order in which they can be
    verified."""
    sql, values = wanted.sql()
    order = "writer, number" if limit is None else f"at DESC, writer, number DESC LIMIT {limit:d}"
    async with _snapshot(dsn) as connection:
        async for row in connection.cursor(f"{sql} ORDER BY {order}", *values, prefetch=AT_ONCE):
            yield link_of(row)


async def heads(service: str, dsn: str) -> list[Head]:
    """How far its chains have come, the youngest first: to be kept where the owner of the database cannot reach it."""
    async with _snapshot(dsn) as connection:
        return [Head(row["writer"], row["number"], row["hash"].hex(), service) for row in await connection.fetch(audit.HEADS, MOST_CHAINS)]


async def prune(service: str, owner_dsn: str, master: Keyring | bytes, before: datetime, who: str) -> tuple[int, int]:
    """Take away chains that had ended before this instant, as the owner, and leave a record of who did it and how each chain ended.
    → chains and records. Raises CannotPrune, MasterKeyAway."""
    if before > datetime.now(UTC) - YOUNGEST:
        raise CannotPrune(f"What is younger than {YOUNGEST // timedelta(days=1)} days stays: its chain may still grow.")
    connection = await connections.connect(owner_dsn)
    try:
        async with connection.transaction():
            old = await connection.fetch(OLD, before, YOUNGEST)
            if not old:
                return 0, 0
            chains = {str(row["writer"]): [row["number"], row["hash"].hex()] for row in old}
            told = {"kind": PRUNED, "who": who, "before": audit.stamp(before), "chains": chains}
            now = audit.stamp(datetime.now(UTC))
            key = audit_key(await root_of(connection, Keyring.of(master)))
            await audit.begin(connection, service, key, [{"at": now, **told}, {"at": now, "kind": ENDED}])
            done = await connection.execute(DELETE, [row["writer"] for row in old])
    finally:
        await connection.close()
    return len(old), int(done.removeprefix("DELETE "))


def link_of(row: asyncpg.Record) -> Link:
    return Link(row["writer"], row["number"], row["record"], row["hash"], row["mac"])


def exported(link: Link) -> bytes:
    """A line of an export: the record, and what binds it."""
    bound = {"writer": str(link.writer), "number": link.number, "hash": link.hash.hex(), "mac": link.mac.hex(), "record": link.record}
    return orjson.dumps(bound)


def imported(line: bytes) -> Link:
    """Raises ValueError where it is no line of an export."""
    said = orjson.loads(line)
    try:
        return Link(UUID(said["writer"]), int(said["number"]), said["record"], bytes.fromhex(said["hash"]), bytes.fromhex(said["mac"]))
    except (KeyError, TypeError) as error:
        raise ValueError("It is not a line of an exported audit trail.") from error


def _read(record: str) -> dict[str, Any]:
    try:
        said = orjson.loads(record)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connections.connect(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        await connection.close()
