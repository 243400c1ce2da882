"""Records that operators pass over forever, each known by its content: a decision holds for all copies of the record in its partition,
those that are still to come too.

How far its source was read when it was skipped is kept beside it, so that whoever folds the log again passes over it at the same point:
after the records that had closed a gap before it, and as its version only where it continued the chain.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from redress_spine.messaging.records import Record
from redress_spine.store.states import Connection

# How far the source must have been read, by content; these by topic, partition and hash: a record's hash is at hand, its content is not.
Skips = Mapping[tuple[str, int, bytes], Mapping[bytes, int]]
ALL = "SELECT topic, partition, hash, content, reached FROM skips"
# Index: skips_pkey.
OF = """
SELECT topic, partition, hash, content, reached FROM skips
JOIN unnest($1::text[], $2::int[]) p (topic, partition) USING (topic, partition)
"""
NAMED = "SELECT topic, partition, hash, content, reached FROM skips WHERE topic = $1 AND partition = $2 AND content = ANY ($3::bytea[])"
SKIP = """
INSERT INTO skips (topic, partition, content, hash, "offset", reached, who, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
"""
# What was set aside and is passed over by now.
SKIPPED_ASIDE = """
DELETE FROM dead_letters a USING public.skips s WHERE (s.topic, s.partition, s.content) = (a.topic, a.partition, a.content)
"""
WHY_LENGTH = 200  # characters
LEAST_DIGITS = 7  # of what may be a phone number, whatever stands between them
CHINESE_DIGITS = str.maketrans("〇零一幺二两三四五六七八九", "0011223456789")
# What a phone number or an e-mail address looks like once it is in plain form.
NUMBER = re.compile(rf"\d(?:[\s./()+\-_·'\u2010-\u2015\u2212]*\d){{{LEAST_DIGITS - 1},}}")
ADDRESS = re.compile(r"@|\w\s*[(\[{<]\s*at\s*[)\]}>]|\w\s+at\s+[\w-]+\s*(?:[(\[{<]\s*dot\s*[)\]}>]|\s+dot\s+)", re.IGNORECASE)


def checked_why(why: str) -> str:
    """The reason that is kept forever beside a decision, in clear: no place for a customer's data. Raises ValueError."""
    why = "".join(" " if unicodedata.category(each) == "Zs" else each for each in why.strip())
    if not why:
        raise ValueError("The reason is empty: say in a sentence why, with the number of a ticket.")
    if len(why) > WHY_LENGTH:
        raise ValueError(f"The reason has {len(why)} characters, and may have {WHY_LENGTH}: name a ticket that says the rest.")
    if not why.isprintable():
        raise ValueError("The reason contains a line break, or an invisible character: write one line of plain text.")
    if seems_personal(why):
        raise ValueError(
            "The reason is kept permanently in plain text: it must not contain a phone number or an e-mail address, "
            f"or anything that looks like one, such as {LEAST_DIGITS} digits in a row. Name a ticket instead."
        )
    return why


def seems_personal(text: str) -> bool:
    """Whether it holds what looks like a phone number or an e-mail address, however it is written: in full width, with spaces between, in
    Chinese numerals, with (at) for the sign."""
    plain = unicodedata.normalize("NFKC", text).translate(CHINESE_DIGITS)
    return NUMBER.search(plain) is not None or ADDRESS.search(plain) is not None


async def load_skips(connection: Connection) -> Skips:
    return _by_hash(await connection.fetch(ALL))


async def skips_of(connection: Connection, places: Sequence[TopicPartition]) -> Skips:
    """Those of these partitions."""
    return _by_hash(await connection.fetch(OF, [place.topic for place in places], [place.partition for place in places]))


async def skips_among(connection: Connection, place: TopicPartition, contents: Sequence[bytes]) -> Skips:
    """Those of this partition that are about one of these contents."""
    return _by_hash(await connection.fetch(NAMED, *place, list(contents)))


async def save_skip(connection: Connection, record: Record, reached: int, who: str, why: str) -> None:
    await connection.execute(
        SKIP, record.topic, record.partition, record.content, record.hash, record.offset, reached, who, checked_why(why)
    )


def skip_of(skips: Skips, record: Record) -> int | None:
    """The version of its source that must have been read; None where nobody skipped it."""
    found = skips.get((record.topic, record.partition, record.hash)) if skips else None
    return found.get(record.content) if found else None


def _by_hash(rows: Sequence[Any]) -> Skips:
    found: dict[tuple[str, int, bytes], dict[bytes, int]] = {}
    for topic, partition, digest, content, reached in rows:
        found.setdefault((topic, partition, digest), {})[content] = reached
    return found
