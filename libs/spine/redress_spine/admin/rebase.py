"""Numbers a journal's transactions again, where its rows came by pg_dump to a cluster that has not come to their numbers yet.

The relay would wait for them, and pass over what is appended meanwhile: that has lower numbers than the checkpoint. What was shipped gets
transaction 1 and what was not gets 2, both below every one that is to come. Within each the order is that of positions, and with it that of
causes: whoever decided after reading an event drew its position after that event's was committed.
"""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

FROM_AHEAD = """
SELECT greatest(c.transaction_id, (SELECT e.transaction_id FROM events e ORDER BY e.transaction_id DESC, e.global_position DESC LIMIT 1))
    >= pg_snapshot_xmax(pg_current_snapshot()) FROM relay_checkpoint c
"""
# Index: events_relay.
SHIPPED = """
UPDATE events SET transaction_id = '1' WHERE (stream, version) IN (
    SELECT e.stream, e.version FROM events e, relay_checkpoint c
    WHERE e.transaction_id > '1' AND (e.transaction_id, e.global_position) <= (c.transaction_id, c.global_position)
    ORDER BY e.transaction_id, e.global_position LIMIT $1
)
"""
WAITING = """
UPDATE events e SET transaction_id = '2' FROM relay_checkpoint c
WHERE (e.transaction_id, e.global_position) > (c.transaction_id, c.global_position)
"""
# At the last one that was shipped, and not at the end of all numbers: what waits is told by the difference to it.
CHECKPOINT = """
UPDATE relay_checkpoint SET transaction_id = '1', global_position = coalesce(
    (SELECT e.global_position FROM events e WHERE e.transaction_id = '1' ORDER BY e.transaction_id DESC, e.global_position DESC LIMIT 1), 0)
"""


async def rebase(connection: asyncpg.Connection, progress: Callable[[str, int, int], None], chunk: int) -> bool:
    """Whether it was needed. Killed at any point it is started again; until its end the relay must not read. chunk: rows in a transaction.
    progress(what, rows, rows of all)."""
    if not await connection.fetchval(FROM_AHEAD):
        return False
    done, every = 0, await connection.fetchval("SELECT count(*) FROM events")
    while moved := int((await connection.execute(SHIPPED, chunk)).removeprefix("UPDATE ")):
        done += moved
        progress("renumbering what was shipped", done, every)
    async with connection.transaction():  # both or none: between them the relay would pass over what waits
        await connection.execute(WAITING)
        progress("renumbering what waits", done, every)
        await connection.execute(CHECKPOINT)
    progress("renumbered", every, every)
    return True
