"""The rows of effects: leased by whoever does one, finished with what came of it, and what operators do to those that were given up.

All times are PostgreSQL's, so replicas whose clocks differ agree on who has a lease.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import asyncpg
import orjson

from redress_spine.processing.reactor import Effect, Reactor
from redress_spine.store.states import Connection

Status = Literal["waiting", "done", "dead", "dropped"]
LOOKED_AT = 1_000  # waiting effects among which a target's share is found
SHOWN = 200

# Due, unleased, the first of its lane, and within its target's share. Whoever else takes one of them at the same time is passed over; the
# lease is looked at again under the lock. On a journal that did not grow on this timeline nothing is done. Index: effects_waiting,
# effects_lane, effects_leased, effects_pkey.
LEASE = f"""
WITH due AS (
    SELECT e.key, e.retry_at, e.position, e.target FROM effects e
    WHERE e.reactor = $1 AND e.status = 'waiting' AND e.retry_at <= now() AND (e.leased_until IS NULL OR e.leased_until <= now())
        AND NOT EXISTS (
            SELECT FROM effects p
            WHERE p.reactor = e.reactor AND p.lane = e.lane AND p.status = 'waiting' AND p.position < e.position OFFSET 0
        )
        AND EXISTS (SELECT FROM birthplace b WHERE b.timeline = timeline_now())
    ORDER BY e.retry_at, e.position LIMIT {LOOKED_AT}
),
busy AS (
    SELECT target, count(*) AS effects FROM effects
    WHERE reactor = $1 AND status = 'waiting' AND owner IS NOT NULL AND leased_until > now() GROUP BY target
),
ranked AS (
    SELECT d.*, coalesce(b.effects, 0) + row_number() OVER (PARTITION BY d.target ORDER BY d.retry_at, d.position) AS share
    FROM due d LEFT JOIN busy b USING (target)
),
chosen AS (SELECT r.key FROM ranked r WHERE r.share <= $5 ORDER BY r.retry_at, r.position LIMIT $4),
locked AS (
    SELECT e.key FROM effects e
    WHERE e.reactor = $1 AND e.key = ANY (ARRAY(SELECT key FROM chosen))
        AND e.status = 'waiting' AND (e.leased_until IS NULL OR e.leased_until <= now())
    FOR UPDATE SKIP LOCKED
)
UPDATE effects e SET owner = $2, leased_until = now() + $3::interval, attempts = e.attempts + 1, begun_at = coalesce(e.begun_at, now())
WHERE e.reactor = $1 AND e.key = ANY (ARRAY(SELECT key FROM locked))
RETURNING e.key, e.subject, e.lane, e.target, e.data, e.opens, e.traceparent, e.attempts, e.position, now() - e.begun_at AS since_first
"""
# Each of these does nothing where the lease has gone to somebody else.
OURS = "reactor = $1 AND key = $2 AND owner = $3 AND attempts = $4 AND status = 'waiting'"
PROLONG = f"UPDATE effects SET leased_until = now() + $5::interval WHERE {OURS}"
FINISH = f"""
UPDATE effects SET status = $5, error = $6, result = $7, owner = NULL, leased_until = NULL, finished_at = now() WHERE {OURS}
"""
AGAIN = f"UPDATE effects SET error = $5, retry_at = now() + $6::interval, owner = NULL, leased_until = NULL WHERE {OURS}"
# Index: effects_dead.
DEAD = """
SELECT reactor, key, subject, target, data, attempts, wanted_at, finished_at, error FROM effects
WHERE status = 'dead' ORDER BY finished_at DESC LIMIT $1
"""
RETRY = """
UPDATE effects SET status = 'waiting', attempts = 0, begun_at = NULL, retry_at = now(), finished_at = NULL, result = NULL
WHERE reactor = $1 AND key = $2 AND status = ANY ($3::text[]) AND ($4::text IS NULL OR subject = $4)
"""
DROP = """
UPDATE effects SET status = 'dropped', finished_at = now(), who = $3, why = $4 WHERE reactor = $1 AND key = $2 AND status = 'dead'
"""
# What operators dropped is kept: who and why. Index: effects_finished.
PRUNE = """
DELETE FROM effects d USING (
    SELECT reactor, key FROM effects
    WHERE reactor = $1 AND status IN ('done', 'dropped') AND who IS NULL AND finished_at < now() - $2::interval
    ORDER BY finished_at LIMIT $3
) o WHERE d.reactor = o.reactor AND d.key = o.key
"""
# Index: effects_subject, effects_pkey.
OF_SUBJECT = """
SELECT key, position, data, status, attempts, wanted_at, retry_at, finished_at, error, result FROM effects
WHERE reactor = $1 AND subject = $2 AND position < $3 ORDER BY position DESC LIMIT $4
"""
ONE = """
SELECT key, position, data, status, attempts, wanted_at, retry_at, finished_at, error, result FROM effects
WHERE reactor = $1 AND subject = $2 AND key = $3
"""


class NoSuchEffect(Exception):
    """No effect of this reactor and key can be retried or dropped now."""


@dataclass(frozen=True, slots=True)
class Leased:
    """An effect that is ours until its lease ends. since_first: since its first attempt. traceparent: of what made it due."""

    effect: Effect
    attempt: int
    since_first: timedelta
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class DeadEffect:
    """An effect that was given up, for operators."""

    reactor: str
    key: str
    subject: str
    target: str
    data: Mapping[str, Any]
    attempts: int
    wanted_at: datetime
    given_up_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An effect as whoever wanted it sees it. place: of a page's end. next_at: when it is tried next, while it waits."""

    key: str
    place: int
    data: Mapping[str, Any]
    status: Status
    attempts: int
    wanted_at: datetime
    next_at: datetime | None
    finished_at: datetime | None
    error: str | None
    result: Mapping[str, Any]


async def lease(connection: Connection, reactor: Reactor, owner: str, most: int) -> list[Leased]:
    """Take up to `most` due effects. Nobody else gets them before the lease ends."""
    rows = await connection.fetch(LEASE, reactor.name, owner, reactor.lease, most, reactor.per_target)
    return [
        Leased(
            Effect(row["key"], row["subject"], orjson.loads(row["data"]), row["lane"], row["target"], tuple(row["opens"])),
            row["attempts"],
            row["since_first"],
            row["traceparent"],
        )
        for row in sorted(rows, key=lambda row: int(row["position"]))
    ]


async def finish(
    connection: Connection, reactor: str, leased: Leased, owner: str, status: Status, error: str | None, result: Mapping[str, Any] | None
) -> None:
    made = None if result is None else orjson.dumps(dict(result)).decode()
    await connection.execute(FINISH, reactor, leased.effect.key, owner, leased.attempt, status, error, made)


async def again(connection: Connection, reactor: str, leased: Leased, owner: str, error: str, after: timedelta) -> None:
    await connection.execute(AGAIN, reactor, leased.effect.key, owner, leased.attempt, error, after)


async def prolong(connection: Connection, reactor: Reactor, leased: Leased, owner: str) -> None:
    await connection.execute(PROLONG, reactor.name, leased.effect.key, owner, leased.attempt, reactor.lease)


async def dead_effects(connection: Connection) -> list[DeadEffect]:
    """The newest 200."""
    return [
        DeadEffect(
            row["reactor"],
            row["key"],
            row["subject"],
            row["target"],
            orjson.loads(row["data"]),
            row["attempts"],
            row["wanted_at"],
            row["finished_at"],
            row["error"] or "",
        )
        for row in await connection.fetch(DEAD, SHOWN)
    ]


async def retry(connection: Connection, reactor: str, key: str, of: Sequence[Status] = ("dead",), subject: str | None = None) -> None:
    """Have it done again, from its first attempt on, under its key. of: the statuses from which that is allowed. subject: whose it must be.
    Raises NoSuchEffect."""
    _found(await connection.execute(RETRY, reactor, key, list(of), subject))


async def drop(connection: Connection, reactor: str, key: str, who: str, why: str) -> None:
    """A dead letter is never done. Who said so and why is kept. Raises NoSuchEffect."""
    _found(await connection.execute(DROP, reactor, key, who, why))


def _found(own: str) -> None:
    if own == "UPDATE 0":
        raise NoSuchEffect


async def of_subject(connection: Connection, reactor: str, subject: str, before: int | None, limit: int) -> list[Shown]:
    """What was wanted on a subject, the latest first."""
    return [_shown(row) for row in await connection.fetch(OF_SUBJECT, reactor, subject, before or 2**63 - 1, limit)]


async def one_of_subject(connection: Connection, reactor: str, subject: str, key: str) -> Shown | None:
    row = await connection.fetchrow(ONE, reactor, subject, key)
    return None if row is None else _shown(row)


def _shown(row: asyncpg.Record) -> Shown:
    return Shown(
        row["key"],
        row["position"],
        orjson.loads(row["data"]),
        row["status"],
        row["attempts"],
        row["wanted_at"],
        row["retry_at"] if row["status"] == "waiting" else None,
        row["finished_at"],
        row["error"],
        orjson.loads(row["result"]) if row["result"] else {},
    )
