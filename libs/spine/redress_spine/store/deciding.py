"""Decisions on one subject: the row as read, the decider, the commit; again where the row moved, once for each idempotency key.

Commands on one subject take turns in this process. Across replicas they may still conflict. Most commands depend on all that they read, and
are decided again a few times, then refused. An append (a customer's words, a chase, a note) depends on what its own service did and on
nothing else: what the projector writes meanwhile is no conflict, and it is decided again until its time is over, and never refused.
"""

from __future__ import annotations

import asyncio
import hmac
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from redress_events.event import Contract, Event
from redress_spine.aggregate import Context
from redress_spine.messaging.envelope import decode
from redress_spine.messaging.records import as_folded
from redress_spine.messaging.turns import Turns
from redress_spine.processing.clock import Clock, fresh_id
from redress_spine.processing.projections import shows_own
from redress_spine.store.commit import CommitResult, Committer, IdempotencyKey, Item, Provenance, prepare
from redress_spine.store.database import UNREACHABLE, Database
from redress_spine.store.errors import Conflict, KeyReused, Parked, Taken, Unavailable, Unknown
from redress_spine.store.states import Loaded, Row, States, heads
from redress_spine.store.vault import Vault, needs_key

TURN_SIZE = 50  # drafts numbered, sealed and chained before others have their turn
ATTEMPTS = 4  # a decision whose row moved is decided again, three times
# Seconds that a command may take with its waiting: its caller and what stands between them give up after ten and more, and would repeat it.
BUDGET = 5.0
JITTER = 0.002, 0.05  # seconds before an append is decided again: doubled each time from the first up to the second, and of that any part
# Index: events_pkey.
MADE = "SELECT type, data FROM events WHERE stream = $1 AND version = $2"
STORED = "SELECT subject, version, request FROM idempotency WHERE key = $1"


@dataclass(frozen=True, slots=True)
class CommandMetadata:
    """Who asks for a decision. key: idempotency key, scoped to caller and route; request: digest of what was asked under it."""

    actor: str
    roles: frozenset[str]
    department: str | None
    correlation: str
    traceparent: str | None
    key: str | None = None
    request: bytes = b""


@dataclass(frozen=True, slots=True)
class Draft:
    """Events decided on a row as read, not yet numbered, sealed and chained."""

    row: Row
    events: Sequence[Event]
    now: datetime
    provenance: Provenance
    key: IdempotencyKey | None = None


class Deciding:
    """digest_key, lookup_key, pseudonym_key: what digests of requests, those by which a subject is found, and names on public topics are
    made with. entropy: 16 random bytes for each decision."""

    def __init__(
        self,
        *,
        source: str,
        contract: Contract,
        states: States,
        database: Database,
        vault: Vault,
        committer: Committer,
        clock: Clock,
        entropy: Callable[[], bytes],
        digest_key: bytes,
        lookup_key: bytes,
        pseudonym_key: bytes,
    ) -> None:
        self._source = source
        self._contract = contract
        self._states = states
        self._database = database
        self._vault = vault
        self._committer = committer
        self._clock = clock
        self._entropy = entropy
        self._digest_key = digest_key
        self._lookup_key = lookup_key
        self._pseudonym_key = pseudonym_key
        self.turns = Turns()

    async def create(
        self, kind: str, decide: Callable[[Context], list[Event]], metadata: CommandMetadata, id: UUID | None
    ) -> tuple[Loaded, bool]:
        for _ in range(ATTEMPTS):
            now = self._clock()
            row = self._states.fresh(f"{kind}/{id or fresh_id(now)}")
            try:
                events = decide(self._context(row, metadata, now))
            except Exception:
                if (replayed := await self._stored(metadata)) is not None:
                    return replayed, True
                raise
            cipher, wrapped = self._vault.make_key(row.subject)
            item = prepare(
                self._contract,
                self._states.codec(row.subject),
                row,
                events,
                now,
                self._provenance(metadata, row),
                cipher=cipher,
                key=self._key(metadata),
                wrapped=wrapped,
                digests=self._lookup_key,
                pseudonyms=self._pseudonym_key,
            )
            outcome = await self._commit(item)
            if outcome.result == "committed":
                return self._after(item), False
            if outcome.result == "replayed":
                return await self._replayed(metadata, outcome), True
        raise Conflict

    async def decide(
        self,
        subject: str,
        decide: Callable[[Any, Context], list[Event]],
        metadata: CommandMetadata,
        check: Callable[[Loaded], None] | None,
        while_parked: bool,
        append: bool = False,
    ) -> tuple[Loaded, bool]:
        """Raises Conflict where the row moved each time; an append raises Unavailable, once its time is over."""
        until = asyncio.get_running_loop().time() + BUDGET
        async with self.turns.of(subject, until):
            attempt = 0
            while True:
                answer = await self._decide_once(subject, decide, metadata, check, while_parked, append)
                if answer is not None:
                    return answer
                attempt += 1
                await self._before_the_next(attempt, until, append)

    async def _before_the_next(self, attempt: int, until: float, append: bool) -> None:
        if not append:
            if attempt >= ATTEMPTS:
                raise Conflict
            return
        pause = random.random() * min(JITTER[0] * 2**attempt, JITTER[1])
        if asyncio.get_running_loop().time() + pause > until:
            raise Unavailable("Other writers change this subject all the time.")
        await asyncio.sleep(pause)

    async def _decide_once(
        self,
        subject: str,
        decide: Callable[[Any, Context], list[Event]],
        metadata: CommandMetadata,
        check: Callable[[Loaded], None] | None,
        while_parked: bool,
        append: bool,
    ) -> tuple[Loaded, bool] | None:
        """None where the row has moved since it was read. The commit finds a key that was used; only a refusal looks for it."""
        row = await self._row(subject)
        loaded = self._states.codec(subject).loaded(row)
        try:
            if check is not None:
                check(loaded)
            if row.parked and not while_parked:
                raise Parked(subject)
            now = self._clock()
            events = decide(loaded.state, self._context(row, metadata, now))
            if not events and metadata.key is None:
                return loaded, False
            (item,) = await self.prepare([Draft(row, events, now, self._provenance(metadata, row), self._key(metadata))])
            if isinstance(item, Exception):
                raise item
        except Exception:
            if (replayed := await self._stored(metadata)) is not None:
                return replayed, True
            raise
        # Where a projection shows what it changes, rows depend on what was observed as well.
        item.append = append and not shows_own(self._states.codec(subject).aggregate, row.own, item.own)
        outcome = await self._commit(item)
        if outcome.result == "committed":
            return self._after(item), False
        if outcome.result == "replayed":
            return await self._replayed(metadata, outcome), True
        return None

    async def loaded(self, subject: str) -> Loaded:
        """Raises Unknown."""
        return self._states.codec(subject).loaded(await self._row(subject))

    async def _row(self, subject: str) -> Row:
        async with self._database.reading() as connection:
            row = (await self._states.load(connection, [subject])).get(subject)
        if row is None:
            raise Unknown(subject)
        return row

    def _context(self, row: Row, metadata: CommandMetadata, now: datetime) -> Context:
        return Context(now, metadata.actor, row.subject, metadata.roles, metadata.department, self._entropy())

    def _provenance(self, metadata: CommandMetadata, row: Row) -> Provenance:
        """The thread is the request's. The cause is what was known of the subject: behind it the decision stands in a restored log."""
        return Provenance(metadata.actor, metadata.correlation, row.cause.get("id"), metadata.traceparent)

    def _key(self, metadata: CommandMetadata) -> IdempotencyKey | None:
        return IdempotencyKey(metadata.key, self._digest(metadata)) if metadata.key else None

    def _digest(self, metadata: CommandMetadata) -> bytes:
        return hmac.digest(self._digest_key, metadata.request, "sha256")

    def _after(self, item: Item) -> Loaded:
        codec, row = self._states.codec(item.row.subject), item.row
        state = codec.aggregate.state(observed=row.observed, own=item.own)
        return Loaded(row.subject, state, codec.etag(row.observed, item.own_json, row.parked), row.parked, item.version, item.made)

    async def _stored(self, metadata: CommandMetadata) -> Loaded | None:
        if metadata.key is None:
            return None
        async with self._database.reading() as connection:
            row = await connection.fetchrow(STORED, metadata.key)
        if row is None:
            return None
        return await self._replayed(metadata, CommitResult("replayed", row["subject"], row["version"], row["request"]))

    async def _replayed(self, metadata: CommandMetadata, outcome: CommitResult) -> Loaded:
        if outcome.subject is None or outcome.request is None or not hmac.compare_digest(outcome.request, self._digest(metadata)):
            raise KeyReused(metadata.key)
        loaded = await self.loaded(outcome.subject)
        async with self._database.reading() as connection:
            row = await connection.fetchrow(MADE, outcome.subject, outcome.version)
        if row is None:  # it changed nothing
            return loaded
        envelope = decode(row["data"])
        event, _ = as_folded(self._contract.by_type[row["type"]], envelope)
        return replace(loaded, made=(event, envelope.time))

    async def prepare(self, drafts: Sequence[Draft]) -> list[Item | Exception]:
        """Number, seal, chain and fold what was decided, outside any transaction: for each draft its item, or why there is none (Forgotten,
        KeyMissing, EventTooLarge, a fold's own). All drafts together wait for missing keys once. Raises Unavailable without a database."""
        others = sorted({stream for draft in drafts for stream in _other_streams(draft)})
        ends: dict[str, tuple[int, bytes]] = {}
        if others:
            async with self._database.reading() as connection:
                ends = await heads(connection, others)
        ciphers = await self._vault.ciphers({draft.row.subject for draft in drafts if needs_key(draft.events)})
        prepared: list[Item | Exception] = []
        for n, draft in enumerate(drafts, 1):
            if n % TURN_SIZE == 0:
                await asyncio.sleep(0)
            cipher = ciphers.get(draft.row.subject)
            if isinstance(cipher, Exception):
                prepared.append(cipher)
                continue
            codec = self._states.codec(draft.row.subject)
            heads_of_others = {stream: ends[stream] for stream in _other_streams(draft) if stream in ends}
            try:
                item = prepare(
                    self._contract,
                    codec,
                    draft.row,
                    draft.events,
                    draft.now,
                    draft.provenance,
                    heads_of_others,
                    cipher,
                    draft.key,
                    digests=self._lookup_key,
                    pseudonyms=self._pseudonym_key,
                )
                prepared.append(item)
            except Exception as error:
                prepared.append(error)
        return prepared

    async def _commit(self, item: Item) -> CommitResult:
        """Raises Taken, Unavailable."""
        try:
            outcome = await self._committer.commit(item)
        except UNREACHABLE as error:
            raise Unavailable(f"The database of {self._source} does not answer now.") from error
        if outcome.result == "taken":
            raise Taken(item.row.subject)
        return outcome


def _other_streams(draft: Draft) -> set[str]:
    kind, _, identity = draft.row.subject.partition("/")
    return {f"{event.stream}/{identity}" for event in draft.events if event.stream != kind}
