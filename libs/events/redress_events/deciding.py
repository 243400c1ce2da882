"""Decisions on one subject: the row as read, the decider, the commit; again where the row moved, once for each idempotency key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from redress_events.clock import Clock, uuid7
from redress_events.commit import Committer, Item, Key, Outcome, Trace, prepare
from redress_events.database import UNREACHABLE, Database
from redress_events.errors import Conflict, JournalRestored, KeyReused, Parked, Unavailable, Unknown
from redress_events.facts import Context, Contract, Fact
from redress_events.states import Row, Seen, States, heads
from redress_events.vault import Vault, needs_key

ATTEMPTS = 4  # a decision whose row moved is decided again, three times
STORED = "SELECT subject, version, request FROM idempotency WHERE key = $1"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a decision. key: idempotency key, scoped to caller and route; request: digest of what was asked under it."""

    actor: str
    roles: frozenset[str]
    department: str | None
    correlation: str
    traceparent: str | None
    key: str | None = None
    request: bytes = b""


class Deciding:
    """digest_key: what digests of requests are made with. chance: 16 random bytes for each decision."""

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
        chance: Callable[[], bytes],
        digest_key: bytes,
    ) -> None:
        self._source = source
        self._contract = contract
        self._states = states
        self._database = database
        self._vault = vault
        self._committer = committer
        self._clock = clock
        self._chance = chance
        self._digest_key = digest_key

    async def create(self, kind: str, decide: Callable[[Context], list[Fact]], asked: Asked, id: UUID | None) -> tuple[Seen, bool]:
        for _ in range(ATTEMPTS):
            now = self._clock()
            row = self._states.fresh(f"{kind}/{id or uuid7(now)}")
            try:
                facts = decide(self._context(row, asked, now))
            except Exception:
                if (replayed := await self._stored(asked)) is not None:
                    return replayed, True
                raise
            cipher, wrapped = self._vault.make_key(row.subject)
            item = prepare(
                self._contract,
                self._states.codec(row.subject),
                row,
                facts,
                now,
                self._trace(asked, row),
                cipher=cipher,
                key=self._key(asked),
                wrapped=wrapped,
            )
            outcome = await self._commit(item)
            if outcome.result == "committed":
                return self._after(item), False
            if outcome.result == "replayed":
                return await self._replayed(asked, outcome), True
        raise Conflict

    async def decide(
        self,
        subject: str,
        decide: Callable[[Any, Context], list[Fact]],
        asked: Asked,
        check: Callable[[Seen], None] | None,
        while_parked: bool,
    ) -> tuple[Seen, bool]:
        for _ in range(ATTEMPTS):
            row = await self._row(subject)
            seen = self._states.codec(subject).seen(row)
            if (replayed := await self._stored(asked)) is not None:
                return replayed, True
            if check is not None:
                check(seen)
            if row.parked and not while_parked:
                raise Parked(subject)
            now = self._clock()
            facts = decide(seen.state, self._context(row, asked, now))
            if not facts and asked.key is None:
                return seen, False
            item = await self.prepare(row, facts, now, self._trace(asked, row), self._key(asked))
            outcome = await self._commit(item)
            if outcome.result == "committed":
                return self._after(item), False
            if outcome.result == "replayed":
                return await self._replayed(asked, outcome), True
        raise Conflict

    async def seen(self, subject: str) -> Seen:
        """Raises Unknown."""
        return self._states.codec(subject).seen(await self._row(subject))

    async def _row(self, subject: str) -> Row:
        async with self._database.reading() as connection:
            row = (await self._states.load(connection, [subject])).get(subject)
        if row is None:
            raise Unknown(subject)
        return row

    def _context(self, row: Row, asked: Asked, now: datetime) -> Context:
        return Context(now, asked.actor, row.subject, asked.roles, asked.department, self._chance())

    def _trace(self, asked: Asked, row: Row) -> Trace:
        """The thread is the request's. The cause is what was known of the subject: behind it the decision stands in a restored log."""
        return Trace(asked.actor, asked.correlation, row.cause.get("id"), asked.traceparent)

    def _key(self, asked: Asked) -> Key | None:
        return Key(asked.key, self._digest(asked)) if asked.key else None

    def _digest(self, asked: Asked) -> bytes:
        return hmac.digest(self._digest_key, asked.request, "sha256")

    def _after(self, item: Item) -> Seen:
        codec, row = self._states.codec(item.row.subject), item.row
        state = codec.kind.state(heard=row.heard, done=item.done)
        return Seen(row.subject, state, codec.etag(row.heard, item.done_json), row.parked, item.version)

    async def _stored(self, asked: Asked) -> Seen | None:
        if asked.key is None:
            return None
        async with self._database.reading() as connection:
            row = await connection.fetchrow(STORED, asked.key)
        if row is None:
            return None
        return await self._replayed(asked, Outcome("replayed", row["subject"], row["version"], row["request"]))

    async def _replayed(self, asked: Asked, outcome: Outcome) -> Seen:
        if outcome.subject is None or outcome.request is None or not hmac.compare_digest(outcome.request, self._digest(asked)):
            raise KeyReused(asked.key)
        return await self.seen(outcome.subject)

    async def prepare(self, row: Row, facts: Sequence[Fact], now: datetime, trace: Trace, key: Key | None = None) -> Item:
        """Number, seal, chain and fold what was decided, outside any transaction."""
        kind, _, identity = row.subject.partition("/")
        others = sorted({f"{fact.stream}/{identity}" for fact in facts if fact.stream != kind})
        ends: dict[str, tuple[int, bytes]] = {}
        if others:
            async with self._database.reading() as connection:
                ends = await heads(connection, others)
        cipher = await self._vault.key(row.subject) if needs_key(facts) else None
        return prepare(self._contract, self._states.codec(row.subject), row, facts, now, trace, ends, cipher, key)

    async def _commit(self, item: Item) -> Outcome:
        try:
            return await self._committer.commit(item)
        except JournalRestored as error:
            raise Unavailable(str(error), retry_after=60) from error
        except UNREACHABLE as error:
            raise Unavailable(f"The database of {self._source} does not answer now.") from error
