"""Records that operators pass over for ever, each known by its place and its hash.

How far its source was read when it was skipped is kept beside it, so that whoever folds the log anew passes over it at the same point:
after the records that had closed a gap before it, and as its version only where it continued the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from redress_spine.messaging.records import Record
from redress_spine.store.states import Connection

Skips = Mapping[tuple[str, int, int, bytes], int]
ALL = 'SELECT topic, partition, "offset", hash, reached FROM skips'
# Of what is to be read again. Index: skips_pkey.
AHEAD = """
SELECT s.topic, s.partition, s."offset", s.hash, s.reached
FROM unnest($1::text[], $2::int[], $3::bigint[]) p (topic, partition, next)
JOIN skips s ON s.topic = p.topic AND s.partition = p.partition AND s."offset" >= p.next
"""
AT = """
SELECT topic, partition, "offset", hash, reached FROM skips
JOIN unnest($1::text[], $2::int[], $3::bigint[]) r (topic, partition, "offset") USING (topic, partition, "offset")
"""
SKIP = """
INSERT INTO skips (topic, partition, "offset", hash, reached, who, why) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""


async def load_skips(connection: Connection) -> Skips:
    return {tuple(row)[:4]: row["reached"] for row in await connection.fetch(ALL)}


async def skips_ahead(connection: Connection, following: Mapping[TopicPartition, int]) -> Skips:
    """Those at and behind these offsets."""
    places = [place.topic for place in following], [place.partition for place in following], list(following.values())
    return {tuple(row)[:4]: row["reached"] for row in await connection.fetch(AHEAD, *places)}


async def skips_at(connection: Connection, places: Sequence[tuple[str, int, int]]) -> Skips:
    """Those of the records at these places."""
    named = [place[0] for place in places], [place[1] for place in places], [place[2] for place in places]
    return {tuple(row)[:4]: row["reached"] for row in await connection.fetch(AT, *named)}


async def save_skip(connection: Connection, record: Record, reached: int, who: str, why: str) -> None:
    await connection.execute(SKIP, record.topic, record.partition, record.offset, record.hash, reached, who, why)


def skip_of(skips: Skips, record: Record) -> int | None:
    """The version of its source that must have been read; None where nobody skipped it."""
    return skips.get((record.topic, record.partition, record.offset, record.hash)) if skips else None
