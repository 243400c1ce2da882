"""What an operator's look reads does not grow with what there is to see: in an outage that is millions of rows."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest
from spine_stack import MAC, OPEN, Stack

from redress_spine.messaging.relay import BACKLOG, COUNTED, Relay
from redress_spine.messaging.topics import Topics
from redress_spine.processing.idle import HEAD, STUCK, STUCK_NAMED, next_due_sql
from redress_spine.processing.parking import ASIDE_NEWEST, COPIES, DEAD_LETTERS, LIST_AFTER, LIST_ONE, RECORD
from redress_spine.processing.skips import NAMED
from redress_spine.processing.watch import COUNTS
from redress_spine.store import connections
from redress_spine.store.database import PLANS, TIMEOUTS

ID = "lpad(to_hex(n), 32, '0')::uuid"
ROWS = [
    """INSERT INTO events (stream, version, topic, type, prevhash, hash, data, partition)
       SELECT 'complaint/' || {id}, 1, 't', 't', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'), 'x', 0
       FROM generate_series($1::int, $2::int) n""",
    """INSERT INTO state (subject, partition, parked, observed)
       SELECT 'complaint/' || {id}, 0, n % 2 = 0, '{{"registered_at": 1}}' FROM generate_series($1::int, $2::int) n""",
    """INSERT INTO parked (subject, topic, partition, "offset", reason, detail, content, hash, headers)
       SELECT 'complaint/' || {id}, 't', 0, n, 'gap', '', int4send(n), 'x', '{{}}'
       FROM generate_series($1::int, $2::int) n WHERE n % 2 = 0""",
    """INSERT INTO dead_letters (topic, partition, "offset", reason, detail, content, hash, headers)
       SELECT 't', 0, n, 'no-subject', '', int4send(n), 'x', '{{}}' FROM generate_series($1::int, $2::int) n""",
    """INSERT INTO row_errors (automation, subject, error, attempts, retry_at)
       SELECT 'other', 'complaint/' || {id}, 'E', n % 7, now() FROM generate_series($1::int, $2::int) n""",
    """INSERT INTO skips (topic, partition, content, hash, "offset", reached, who, why)
       SELECT 't', 0, int4send(n), 'x', n, 0, '', 'w' FROM generate_series($1::int, $2::int) n""",
]
LOOKS: dict[str, tuple[str, list[Any]]] = {
    "backlog": (BACKLOG, []),
    "counts": (COUNTS, []),
    "head": (HEAD, []),
    "stuck": (STUCK, [STUCK_NAMED]),
    "due": (next_due_sql(OPEN), [0]),
    "parked": (LIST_AFTER, [200, "complaint/1"]),
    "one parked": (LIST_ONE, [200, "complaint/00000000-0000-0000-0000-000000000002"]),
    "set aside": (ASIDE_NEWEST, [200]),
    "set aside, page by page": (DEAD_LETTERS, [200, "t", 0, 5]),
    "held": (RECORD.format(table="dead_letters"), [["t", "u"], 0, 7]),
    "copies": (COPIES, ["t", 0, [b"1234"]]),
    "whether it is skipped": (NAMED, ["t", 0, [b"1234"]]),
}


async def fill(connection: asyncpg.Connection, first: int, last: int) -> None:
    for sql in ROWS:
        await connection.execute(sql.format(id=ID), first, last)
    await connection.execute("VACUUM ANALYZE")


async def reads(connection: asyncpg.Connection, sql: str, args: list[Any]) -> int:
    """Pages that a question touches."""
    (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
    plan = json.loads(row[0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.slow
async def test_four_times_as_much_costs_no_look_more(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await fill(owner, 1, 25_000)
    made = await stack.database("handling")
    settings = {"search_path": "fold1_1,public", **TIMEOUTS, **PLANS}
    app = await connections.connect(made.app_dsn, server_settings=settings)
    before = {name: await reads(app, *look) for name, look in LOOKS.items()}
    await fill(owner, 25_001, 100_000)
    await app.close()
    app = await connections.connect(made.app_dsn, server_settings=settings)
    after = {name: await reads(app, *look) for name, look in LOOKS.items()}
    grown = {name: (before[name], pages) for name, pages in after.items() if pages > before[name] * 2 + 20}  # one level more of an index
    assert not grown
    assert max(after.values()) < 2_500, after
    relay = Relay(source="handling", kafka="", topics=Topics(), partitions=4, mac=MAC, connect=_never, topics_now=_never)
    assert await relay.backlog(app) == 100_000
    await owner.execute(
        "UPDATE relay_checkpoint SET (transaction_id, global_position) = (SELECT transaction_id, global_position FROM events"
        " ORDER BY transaction_id DESC, global_position DESC OFFSET 7 LIMIT 1)"
    )
    assert await relay.backlog(app) == 7 < COUNTED
    await app.close()
    await owner.close()


async def _never() -> Any:
    raise AssertionError("Nobody relays here.")
