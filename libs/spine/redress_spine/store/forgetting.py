"""What a forgetting does: the subject's key is destroyed, with its proof; nobody is found by it; and what its key sealed is dropped.

The service that decides it does so in the transaction of the event, and its relay sends the tombstone behind the event. Whoever reads
either of them does the same, and to do it twice changes nothing: so a key that came back from a backup is destroyed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from redress_events.event import Event, Forgetting
from redress_spine.processing.projections import StatementPart
from redress_spine.store.arrays import parameter
from redress_spine.store.states import Connection

# Index: lookups_subject, sealed_pkey.
FORGET_LOOKUPS = "DELETE FROM lookups WHERE subject = ANY ($1::text[])"
DROP_SEALED = "DELETE FROM sealed WHERE subject = ANY ($1::text[])"
# The tombstone is still to be sent.
DESTROY = """
INSERT INTO keys (subject, destroyed, proof, acknowledged) SELECT d.subject, true, d.proof, false FROM {forgotten} ORDER BY d.subject
ON CONFLICT (subject) DO UPDATE SET wrapped = NULL, destroyed = true, proof = excluded.proof, acknowledged = false WHERE NOT keys.destroyed
"""
ALONE = DESTROY.format(forgotten="unnest($1::text[], $2::bytea[]) d (subject, proof)")
KINDS = ("int", "text", "bytea")  # of an item's number, a subject and its proof


def proof_of(event: Event | None) -> bytes | None:
    """By what the key of its subject is to be destroyed; None where it forgets nobody."""
    return event.proof.encode() if isinstance(event, Forgetting) else None


async def forget(connection: Connection, subjects: Sequence[str]) -> None:
    """Nobody is found by these, and nothing is kept of what was sealed: their keys are destroyed."""
    await connection.execute(FORGET_LOOKUPS, subjects)
    await connection.execute(DROP_SEALED, subjects)


async def destroy(connection: Connection, forgotten: Mapping[str, bytes]) -> None:
    """All that a forgetting does in the service that decided it. forgotten: proofs by subject."""
    if forgotten:
        await connection.execute(ALONE, list(forgotten), list(forgotten.values()))
        await forget(connection, list(forgotten))


def with_items(forgotten: Sequence[tuple[int, str, bytes]]) -> list[StatementPart]:
    """The same, as parts of `with_commit`, for items that are committed. forgotten: item, subject and proof."""

    def committed(first: int) -> str:
        given = ", ".join(parameter(first + n, kind) for n, kind in enumerate(KINDS))
        return f"unnest({given}) d (item, subject, proof) JOIN outcomes o ON o.item = d.item AND o.outcome = 'committed'"

    def deleted(table: str) -> Callable[[int], str]:
        return lambda first: f"DELETE FROM {table} t USING {committed(first)} WHERE t.subject = d.subject"

    parts: list[Callable[[int], str]] = [lambda first: DESTROY.format(forgotten=committed(first)), deleted("lookups"), deleted("sealed")]
    return [(part, KINDS, forgotten) for part in parts] if forgotten else []
