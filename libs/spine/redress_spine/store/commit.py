"""The one transaction that turns decisions, one or many, into journal and state: a single round trip, shared by all who wait.

A decision is made on a row read without a lock. `Committer` gathers items while commits are under way and lets them share the next one
(natural batching, no waiting time): one item per row and per key in a batch, the next waits in process.

Longer than most: what an item holds, and what one statement makes of many of them, are read together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redress_events.event import Contract, Event
from redress_spine import tracing
from redress_spine.messaging.envelope import GENESIS, Envelope, chain, dataschema, encode, event_id
from redress_spine.processing.projections import LOOKUPS, Changes, changes, with_commit
from redress_spine.store import entries
from redress_spine.store.arrays import argument, parameter
from redress_spine.store.database import AWAY, HELD, RESTORED
from redress_spine.store.errors import JournalRestored
from redress_spine.store.forgetting import proof_of, with_items
from redress_spine.store.lookups import ONCE, digest_of, place_of
from redress_spine.store.pseudonyms import actor_on
from redress_spine.store.states import Codec, Row
from redress_spine.store.vault import on_the_log, reference, seal
from redress_spine.tracing import Tracer

PARAMETERS = 27
NUMBERS = {
    2: "int",
    3: "bigint",
    4: "bigint",
    8: "bigint",
    10: "int",
    12: "bigint",
    18: "int",
    21: "int",
    24: "bigint",
    25: "bigint",
    27: "int",
}
COMMIT = f"SELECT * FROM commit_decisions({', '.join(parameter(n, NUMBERS.get(n)) for n in range(1, PARAMETERS + 1))})"
LARGEST_EVENT = 768 * 1024  # bytes; Kafka refuses 1 MiB with headers, and one refused record would stall the relay
AT_ONCE = 2  # commits under way; the next batch gathers meanwhile
ENOUGH = 16  # items for a second one beside the first: a commit of many costs little more than one of few
LARGEST_BATCH = 200  # items


class EventTooLarge(Exception):
    """The encoded event is larger than a record may be."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a decision comes from: who decides, and the thread it belongs to."""

    actor: str
    correlation: str
    causation: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An idempotency key and the digest of the request it stands for."""

    key: str
    request: bytes


@dataclass(slots=True)
class Item:
    """One decision, ready to be committed. append: it depends on `own` alone, so what was observed since it was read is no conflict. made:
    the last event, with references for its words, and when. traceparent: of who decided. forgotten: the proof by which the subject's key is
    destroyed with it."""

    row: Row
    own: Any
    own_json: str
    version: int  # of the subject's own stream, after
    events: list[tuple[str, int, str, str, bytes, bytes, bytes]] = field(default_factory=list)
    sealed: list[tuple[str, bytes]] = field(default_factory=list)
    key: IdempotencyKey | None = None
    wrapped: bytes | None = None
    append: bool = False
    entries: list[entries.EntryRow] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    made: tuple[Event, datetime] | None = None
    traceparent: str | None = None
    forgotten: bytes | None = None


@dataclass(frozen=True, slots=True)
class CommitResult:
    """committed, conflict, order, taken (another subject has a value that no two may have), or replayed with what the key stands for."""

    result: str
    subject: str | None = None
    version: int | None = None
    request: bytes | None = None


def prepare(
    contract: Contract,
    codec: Codec,
    row: Row,
    events: Sequence[Event],
    now: datetime,
    provenance: Provenance,
    heads: Mapping[str, tuple[int, bytes]] = {},
    cipher: AESGCM | None = None,
    key: IdempotencyKey | None = None,
    wrapped: bytes | None = None,
    digests: bytes | None = None,
    pseudonyms: bytes | None = None,
) -> Item:
    """Number, seal, chain, fold and project the events. heads: the ends of the other streams they go to; cipher: the subject's key where
    they are personal; digests: the key of digests by which it is found; pseudonyms: that of the names on public topics. Raises
    EventTooLarge, NotProjected."""
    ends = {row.subject: (row.version, row.hash)} | dict(heads)
    item = Item(row, row.own, "", row.version, key=key, wrapped=wrapped, traceparent=provenance.traceparent)
    kind_of_subject, _, identity = row.subject.partition("/")
    lookups = codec.aggregate.lookups
    found: list[tuple[str, bytes, int]] = []  # rows of the lookups
    for event in events:
        stream = row.subject if event.stream == kind_of_subject else f"{event.stream}/{identity}"
        last, prevhash = ends.get(stream, (0, GENESIS))
        version = last + 1
        kind = contract.type_of[type(event)]
        data = event.model_dump(mode="json", exclude_none=True)
        refs: dict[str, str] = {}
        blobs: list[bytes] = []
        for name in event.personal_fields():
            if (text := data.get(name)) is not None:
                if cipher is None:
                    raise ValueError(f"{kind} has the personal field {name} and there is no key to seal it.")
                refs[name] = reference(contract.source, version, name)
                blob = seal(cipher, stream, refs[name], text)
                item.sealed.append((refs[name], blob))
                blobs.append(blob)
                data[name] = on_the_log(blob)
                if name in lookups:
                    if digests is None:
                        raise ValueError(f"{kind} is found by {name} and there is no key for its digest.")
                    if (digest := digest_of(codec.aggregate, digests, name, text)) is not None:
                        found.append((row.subject, digest, place_of(codec.aggregate, name, row.subject)))
        value = encode(
            Envelope(
                id=event_id(stream, contract.source, version),
                source=contract.source,
                type=kind,
                subject=stream,
                time=now,
                version=version,
                data=data,
                actor=actor_on(event.topic, provenance.actor, pseudonyms),
                correlation=provenance.correlation,
                causation=provenance.causation,
                traceparent=provenance.traceparent,
                dataschema=dataschema(kind),
            )
        )
        if len(value) > LARGEST_EVENT:
            raise EventTooLarge(f"{kind} would have {len(value)} bytes, {LARGEST_EVENT} are allowed.")
        digest = chain(prevhash, value)
        item.events.append((stream, version, event.topic, kind, prevhash, digest, value))
        ends[stream] = (version, digest)
        folded = event.model_copy(update=refs) if refs else event
        item.own = codec.aggregate.evolve(item.own, folded, now)
        item.made = folded, now
        item.forgotten = proof_of(event) or item.forgotten
        if (entry := entries.row_of(codec.aggregate, folded, contract.source, version, now, blobs)) is not None:
            item.entries.append(entry)
    item.version = ends[row.subject][0]
    item.own_json = codec.dump_own(item.own)
    before = (row.observed, row.own) if row.revision else None
    item.changes = changes(codec.aggregate, row.subject, before, (row.observed, item.own))
    if found:
        item.changes.came[LOOKUPS] += found
    return item


async def commit(connection: asyncpg.Connection | asyncpg.Pool, items: Sequence[Item]) -> list[CommitResult]:
    """All items in one autocommit statement; their outcomes in order. Database errors are raised, and then nothing of it is there."""
    events = [(n, *event) for n, item in enumerate(items, 1) for event in item.events]
    sealed = [(n, *value) for n, item in enumerate(items, 1) for value in item.sealed]
    rows = [(n, *row) for n, item in enumerate(items, 1) for row in item.entries]
    given = (
        [item.row.subject for item in items],
        [item.row.partition for item in items],
        [item.row.revision for item in items],
        [item.row.decided if item.append else None for item in items],
        [item.own_json for item in items],
        [item.key.key if item.key else None for item in items],
        [item.key.request if item.key else None for item in items],
        [item.version if item.events else 0 for item in items],  # kept with the key: which event the command made, 0 where it made none
        [item.wrapped for item in items],
        *(zip(*events, strict=True) if events else ((),) * 8),
        *(zip(*sealed, strict=True) if sealed else ((),) * 3),
        *(zip(*rows, strict=True) if rows else ((),) * 7),
    )
    forgotten = [(n, item.row.subject, item.forgotten) for n, item in enumerate(items, 1) if item.forgotten]
    found = [(n, item.changes) for n, item in enumerate(items, 1)]
    statement, projected = with_commit(COMMIT, PARAMETERS, found, with_items(forgotten))
    outcomes = await connection.fetch(statement, *(argument(NUMBERS.get(n), values) for n, values in enumerate(given, 1)), *projected)
    outcomes.sort(key=lambda row: int(row["item"]))
    return [CommitResult(row["outcome"], row["stored_subject"], row["stored_version"], row["stored_request"]) for row in outcomes]


class Committer:
    """Shares commits between all who decide in this process. `committed` is called with what each one that wrote something has changed.

    What a commit ends with for those who wait: an outcome, JournalRestored, or the database's error. tracer: where commits are told of."""

    def __init__(
        self, source: str, pool: asyncpg.Pool, committed: Callable[[Sequence[Changes]], None], tracer: Tracer | None = None
    ) -> None:
        self._source = source
        self._pool = pool
        self._committed = committed
        self._tracer = tracer
        self._waiting: deque[tuple[Item, asyncio.Future[CommitResult]]] = deque()
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def commit(self, item: Item) -> CommitResult:
        future: asyncio.Future[CommitResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    async def commit_all(self, items: Sequence[Item]) -> list[CommitResult | BaseException]:
        """All of them wait before the first commit starts, and so share it."""
        loop = asyncio.get_running_loop()
        waiting: list[tuple[Item, asyncio.Future[CommitResult]]] = [(item, loop.create_future()) for item in items]
        self._waiting.extend(waiting)
        self._start()
        return await asyncio.gather(*(future for _, future in waiting), return_exceptions=True)

    def _start(self) -> None:
        while self._waiting and (not self._under_way or (self._under_way < AT_ONCE and len(self._waiting) >= ENOUGH)):
            self._under_way += 1
            task = asyncio.create_task(self._run(self._gather()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _gather(self) -> list[tuple[Item, asyncio.Future[CommitResult]]]:
        batch: list[tuple[Item, asyncio.Future[CommitResult]]] = []
        later: list[tuple[Item, asyncio.Future[CommitResult]]] = []
        subjects: set[str] = set()
        keys: set[str] = set()
        while self._waiting and len(batch) < LARGEST_BATCH:
            item, future = self._waiting.popleft()
            if item.row.subject in subjects or (item.key and item.key.key in keys):
                later.append((item, future))
                continue
            subjects.add(item.row.subject)
            if item.key:
                keys.add(item.key.key)
            batch.append((item, future))
        self._waiting.extendleft(reversed(later))
        return batch

    async def _run(self, batch: list[tuple[Item, asyncio.Future[CommitResult]]]) -> None:
        try:
            await self._settle(batch)
        finally:
            self._under_way -= 1
            self._start()

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[CommitResult]]]) -> None:
        """Commit, and on a database error find the item it belongs to by halving."""
        began = tracing.now()
        try:
            outcomes = await self._commit_on_live([item for item, _ in batch])
        except asyncpg.UniqueViolationError as error:
            if len(batch) == 1:  # somebody else made this row or this version first, or has this value
                self._tell(batch, [CommitResult("taken" if error.constraint_name == ONCE else "conflict")])
            else:
                await self._halve(batch, error)
        except HELD as error:
            await self._halve(batch, error)
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError) and error.sqlstate == RESTORED:
                self._fail(batch, JournalRestored(self._source))
            elif isinstance(error, asyncpg.PostgresError) and not isinstance(error, AWAY):
                await self._halve(batch, error)
            else:  # halves would wait as long as the whole, one after the other
                self._fail(batch, error)
        except BaseException as error:
            self._fail(batch, ConnectionError(f"The commit was interrupted: {error!r}"))
            raise
        else:
            if self._tracer is not None:
                for (item, _), outcome in zip(batch, outcomes, strict=True):
                    if outcome.result == "committed":
                        tracing.committed(self._tracer, item, began)
            self._tell(batch, outcomes)

    async def _commit_on_live(self, items: list[Item]) -> list[CommitResult]:
        """Once more where a rebuild swapped the state: nobody else tells the automation loop, if no request comes. What was read before
        the swap has another revision now, and is a conflict."""
        try:
            return await commit(self._pool, items)
        except asyncpg.UndefinedTableError:
            await self._pool.expire_connections()
            return await commit(self._pool, items)

    async def _halve(self, batch: list[tuple[Item, asyncio.Future[CommitResult]]], error: Exception) -> None:
        if len(batch) == 1:
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle])
        await self._settle(batch[middle:])

    def _fail(self, batch: list[tuple[Item, asyncio.Future[CommitResult]]], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)

    def _tell(self, batch: list[tuple[Item, asyncio.Future[CommitResult]]], outcomes: list[CommitResult]) -> None:
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
        if written := [item.changes for (item, _), outcome in zip(batch, outcomes, strict=True) if outcome.result == "committed"]:
            self._committed(written)


def cause_of(row: Row) -> Provenance:
    """The thread of work that no person asked for: it goes on from the last foreign event that changed the row."""
    return Provenance("timer", row.cause.get("correlation") or row.subject, row.cause.get("id"), row.cause.get("traceparent"))


def cause_json(envelope: Envelope) -> str:
    cause = {"id": envelope.id, "correlation": envelope.correlation, "traceparent": envelope.traceparent}
    return orjson.dumps({name: value for name, value in cause.items() if value is not None}).decode()
