"""What a fold came to, written: states, ciphertexts, entries, projections, what is parked or set aside, each as a set, rows by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
import orjson

from redress_spine.messaging.records import DeadLetter, Record
from redress_spine.processing import projections
from redress_spine.processing.projections import Changes, shows_observed, with_commit
from redress_spine.store.arrays import argument, parameter
from redress_spine.store.fold import Folding
from redress_spine.store.states import Connection
from redress_spine.store.vault import KEY_KINDS, KeyRecord, key_rows, store_sql

PARAMETERS = 26
NUMBERS = {
    2: "int",
    3: "bigint",
    4: "bigint",
    5: "bigint",
    7: "bigint",
    10: "int",
    11: "bigint",
    12: "boolean",
    22: "bigint",
    23: "bigint",
    25: "int",
}
SAVE_BATCH = f"SELECT * FROM save_batch({', '.join(parameter(n, NUMBERS.get(n)) for n in range(1, PARAMETERS + 1))})"
# What it raises: somebody else moved the partitions; something was decided on what its projections were made of.
FENCE_LOST, OVERTAKEN = "FL001", "OV001"
# A partition's topic, number, where it was read to and its epoch, as they must be; where it is read to now, and what that means.
Move = tuple[str, int, int, int, int, str | None, int | None, bytes | None]
# Of rows that are locked. Index: state_pkey.
OWN = "SELECT subject, own FROM state WHERE subject = ANY ($1::text[])"
SEAL = """
INSERT INTO sealed (subject, ref, ciphertext) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) ON CONFLICT DO NOTHING
"""
PARK = """
INSERT INTO parked (subject, topic, partition, "offset", reason, detail, type, content, hash, key, value, headers)
SELECT n.subject, n.topic, n.partition, n."offset", n.reason, n.detail, n.type, n.content, n.hash, n.key, n.value, n.headers
FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[], $10::bytea[],
    $11::bytea[], $12::jsonb[]) n (subject, topic, partition, "offset", reason, detail, type, content, hash, key, value, headers)
ORDER BY n.topic, n.partition, n."offset" ON CONFLICT DO NOTHING
"""
STORE_DEAD_LETTERS = """
INSERT INTO dead_letters (topic, partition, "offset", reason, detail, type, content, hash, key, value, headers)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::bytea[],
    $10::bytea[], $11::jsonb[]) ON CONFLICT DO NOTHING
"""


def headers_json(headers: Mapping[str, bytes]) -> str:
    """Those that PostgreSQL takes: no reader looks for one with a NUL in its name."""
    return orjson.dumps({name: value.hex() for name, value in headers.items() if "\0" not in name}).decode()


async def save_at_once(
    connection: Connection, moves: Sequence[Move], foldings: list[Folding], keys: Mapping[str, KeyRecord], timeline: int | None
) -> list[Changes]:
    """Fence, and write folded rows of which none waits and keys of which none is a tombstone, in one autocommit statement. → what is new in
    projections, which were made before. timeline: of the journal in which own events were looked for.

    Raises asyncpg.PostgresError with FENCE_LOST, OVERTAKEN or RESTORED; nothing is written then."""
    foldings = sorted(foldings, key=lambda folding: folding.subject)
    read = [each.decided if shows_observed(each.codec.aggregate, each.before, each.observed) else None for each in foldings]
    made = [each.changes or Changes() for each in foldings]
    statement, projected = with_commit(
        SAVE_BATCH, PARAMETERS, list(enumerate(made, 1)), [(store_sql, KEY_KINDS, key_rows(keys))] if keys else []
    )
    await connection.fetch(statement, *_given(moves, foldings, read, timeline), *projected)
    return made


async def fence(connection: Connection, moves: Sequence[Move], timeline: int | None) -> None:
    """The first statement of a transaction. Raises asyncpg.PostgresError with FENCE_LOST or RESTORED."""
    await connection.fetch(SAVE_BATCH, *_given(moves, [], [], timeline))


async def save(connection: Connection, foldings: list[Folding]) -> Changes:
    """Write folded rows, their ciphertexts, their entries, what they parked, and their projections, each as a set, rows by id. → what is
    new in projections."""
    foldings = sorted(foldings, key=lambda folding: folding.subject)
    saved = await connection.fetch(SAVE_BATCH, *_given([], foldings, [None] * len(foldings), None))
    if waiting := parked_rows(foldings):
        await connection.execute(PARK, *map(list, zip(*waiting, strict=True)))
    return await _project(connection, foldings, {foldings[row["item"] - 1].subject: row["decided"] for row in saved})


def _given(moves: Sequence[Move], foldings: Sequence[Folding], decided: Sequence[int | None], timeline: int | None) -> list[Any]:
    sealed = [(each.subject, *value) for each in foldings for value in each.sealed]
    entered = [(each.subject, *row) for each in foldings for row in each.entries]
    given = (
        *(zip(*moves, strict=True) if moves else ((),) * 8),
        [each.subject for each in foldings],
        [each.partition for each in foldings],
        decided,
        [each.parked for each in foldings],
        [orjson.dumps(each.read).decode() for each in foldings],
        [each.cause for each in foldings],
        [each.observed_json for each in foldings],
        *(zip(*sealed, strict=True) if sealed else ((),) * 3),
        *(zip(*entered, strict=True) if entered else ((),) * 7),
    )
    return [*(argument(NUMBERS.get(n), values) for n, values in enumerate(given, 1)), timeline]


async def _project(connection: Connection, foldings: Iterable[Folding], decided: Mapping[str, int]) -> Changes:
    """The rows are locked now. Where something was decided since they were read, its projections are built again, of what is stored."""
    found = Changes()
    overtaken = {}
    for each in foldings:
        if not shows_observed(each.codec.aggregate, each.before, each.observed):
            continue
        if decided[each.subject] != each.decided:
            overtaken[each.subject] = each
        else:
            found.add(each.project() if each.changes is None else each.changes)
    if overtaken:
        for row in await connection.fetch(OWN, list(overtaken)):
            found.add(overtaken[row["subject"]].project(row["own"]))
    await projections.write(connection, found)
    return found


def parked_rows(foldings: Iterable[Folding]) -> list[tuple[Any, ...]]:
    return [
        (each.subject, r.topic, r.partition, r.offset, parked.reason, parked.detail, *_content(r))
        for each in foldings
        for parked in each.waiting
        for r in (parked.record,)
    ]


async def store_dead_letters(connection: asyncpg.Connection, dead_letters: list[DeadLetter]) -> None:
    await connection.execute(STORE_DEAD_LETTERS, *map(list, zip(*dead_letter_rows(dead_letters), strict=True)))


def dead_letter_rows(dead_letters: Iterable[DeadLetter]) -> list[tuple[Any, ...]]:
    return [(r.topic, r.partition, r.offset, one.reason, one.detail, *_content(r)) for one in dead_letters for r in (one.record,)]


def _content(record: Record) -> tuple[Any, ...]:
    return record.type, record.content, record.hash, record.key, record.value, headers_json(record.headers)
