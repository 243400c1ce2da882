"""What a fold came to, written: states, ciphertexts, entries, projections, what is parked or set aside, each as a set, rows by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import orjson

from redress_spine.messaging.records import DeadLetter, Record
from redress_spine.processing import projections
from redress_spine.processing.projections import Changes, shows_observed
from redress_spine.store import entries
from redress_spine.store.fold import Folding
from redress_spine.store.states import Connection

SAVE = """
INSERT INTO state (subject, partition, revision, parked, read, cause, observed)
SELECT n.subject, n.partition, 1, n.parked, n.read, n.cause, n.observed
FROM unnest($1::text[], $2::int[], $3::boolean[], $4::jsonb[], $5::jsonb[], $6::jsonb[]) n (subject, partition, parked, read, cause,
observed) ORDER BY n.subject
ON CONFLICT (subject) DO UPDATE SET
    parked = excluded.parked, read = excluded.read, cause = excluded.cause, observed = excluded.observed,
    revision = state.revision + (state.observed <> excluded.observed OR state.parked <> excluded.parked)::int
RETURNING subject, decided
"""
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


async def save(connection: Connection, foldings: list[Folding]) -> Changes:
    """Write folded rows, their ciphertexts, their entries, what they parked, and their projections, each as a set, rows by id. → what is
    new in projections."""
    foldings = sorted(foldings, key=lambda folding: folding.subject)
    saved = await connection.fetch(
        SAVE,
        [each.subject for each in foldings],
        [each.partition for each in foldings],
        [each.parked for each in foldings],
        [orjson.dumps(each.read).decode() for each in foldings],
        [each.cause for each in foldings],
        [each.observed_json for each in foldings],
    )
    sealed = [(each.subject, *value) for each in foldings for value in each.sealed]
    if sealed:
        await connection.execute(SEAL, *map(list, zip(*sealed, strict=True)))
    if entered := [(each.subject, *row) for each in foldings for row in each.entries]:
        await connection.execute(entries.WRITE, *map(list, zip(*entered, strict=True)))
    if waiting := parked_rows(foldings):
        await connection.execute(PARK, *map(list, zip(*waiting, strict=True)))
    return await _project(connection, foldings, {row["subject"]: row["decided"] for row in saved})


async def _project(connection: Connection, foldings: Iterable[Folding], decided: Mapping[str, int]) -> Changes:
    """The rows are locked now. Where something was decided since they were read, its projections are made anew, of what is stored."""
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
