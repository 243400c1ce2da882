"""Own events folded into states that are there, with all that belongs to them: a rebuild's last ones, and those that an adoption takes."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from redress_events.event import Contract
from redress_spine.admin.filling import evolve
from redress_spine.processing import projections
from redress_spine.processing.projections import LOOKUPS, Changes, changes
from redress_spine.store import entries
from redress_spine.store.forgetting import destroy
from redress_spine.store.lookups import Lookups
from redress_spine.store.saving import SEAL
from redress_spine.store.states import States

# Index: state_pkey. Whoever calls holds the locks, or is alone.
OWN = "SELECT subject, observed, own FROM state WHERE subject = ANY ($1::text[])"
SAVE_OWN = """
INSERT INTO state (subject, partition, revision, decided, own)
SELECT d.subject, d.partition, $4::bigint, $4::bigint, d.own FROM unnest($1::text[], $2::int[], $3::jsonb[]) d (subject, partition, own)
ORDER BY d.subject
ON CONFLICT (subject) DO UPDATE SET own = excluded.own, revision = state.revision + 1, decided = state.decided + 1
"""


async def fold_own(
    connection: asyncpg.Connection,
    contract: Contract,
    states: States,
    lookups: Lookups | None,
    events: Sequence[tuple[str, str, bytes]],
    subjects: set[str],
    base: int,
) -> None:
    """events: stream, type and data in the journal's order; subjects: those that they were decided on. base: the revision of a new row."""
    before = {
        row["subject"]: (states.codec(row["subject"]).load_observed(row["observed"]), states.codec(row["subject"]).load_own(row["own"]))
        for row in await connection.fetch(OWN, sorted(subjects))
    }
    own = {subject: own for subject, (_, own) in before.items()}
    sealed: list[tuple[str, str, bytes]] = []
    entered: list[tuple[str, *entries.EntryRow]] = []
    forgotten: dict[str, bytes] = {}
    for event in events:
        subject, proof = evolve(contract, states, event, own, sealed, entered)
        if proof is not None:
            forgotten[subject] = proof
    touched, found = sorted(subjects), Changes()
    for subject in touched:
        aggregate = states.codec(subject).aggregate
        stored = before.get(subject)
        found.add(changes(aggregate, subject, stored, (stored[0] if stored else aggregate.facets[0](), own[subject])))
    await connection.execute(
        SAVE_OWN,
        touched,
        [states.partition(subject) for subject in touched],
        [states.codec(subject).dump_own(own[subject]) for subject in touched],
        base,
    )
    if sealed:
        await connection.execute(SEAL, *map(list, zip(*sealed, strict=True)))
    if entered:
        await connection.execute(entries.WRITE, *map(list, zip(*entered, strict=True)))
    if lookups is not None and (rows := await lookups.rows(connection, sealed)):  # of those whose keys are here
        found.came[LOOKUPS] += sorted(rows)
    await projections.write(connection, found)
    await destroy(connection, forgotten)
