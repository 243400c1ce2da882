"""By which personal values a subject is found: keyed digests of their normal forms, in rows beside the state, and nowhere on the log.

Whoever commits an event has its words in clear, and writes the rows with it. A rebuild opens the ciphertexts with the keys that are
there, so what was forgotten gets no row again. The digest's key is derived from the master key: who has the database alone can try no
numbers.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from redress_spine.aggregate import Aggregate
from redress_spine.processing.projections import LOOKUPS, Changes, write
from redress_spine.store.keyring import Keyring
from redress_spine.store.master_keys import root_of
from redress_spine.store.states import Connection, Query, States
from redress_spine.store.vault import Vault, unseal

ROW = tuple[str, bytes, int]  # subject, digest, place
FOUND = Query(name="lookup", where="digest = $1", order="place", index="lookups_pkey", table=LOOKUPS)
ONCE = "lookups_once"  # the index of values that no two subjects have: their rows have the place `ALONE`
ALONE = 0
CHUNK = 1_000  # keys read at a time
YIELD = 100  # values opened before others have their turn
# Index: sealed_pkey.
SEALED = "SELECT subject, ref, ciphertext FROM sealed WHERE subject = ANY ($1::text[]) AND split_part(ref, '/', 1) = $2"
# Index: keys_pkey.
KEYS = "SELECT subject, wrapped FROM keys WHERE subject = ANY ($1::text[]) AND wrapped IS NOT NULL"
OF_FORGOTTEN = "SELECT DISTINCT l.subject FROM lookups l JOIN keys k USING (subject) WHERE k.destroyed"
DESTROYED = "SELECT subject FROM keys WHERE subject = ANY ($1::text[]) AND destroyed"
FORGET_ALL = "DELETE FROM lookups l USING keys k WHERE k.subject = l.subject AND k.destroyed"


class MasterKeyNeeded(Exception):
    """A service that is searched by personal values cannot be rebuilt without the key that opens them."""


def lookup_key(root: bytes) -> bytes:
    """What digests are made with: derived from the first master key (HKDF, SHA-256), and of no other use."""
    return HKDF(SHA256(), 32, salt=None, info=b"redress: lookup of personal values").derive(root)


def digest_of(aggregate: Aggregate, key: bytes, name: str, text: str) -> bytes | None:
    """HMAC-SHA-256 over the field's name and the value's normal form; None where there is nothing to be found by."""
    form = aggregate.lookups.get(name)
    normal = form(text) if form else None
    return hmac.digest(key, f"{name}\0{normal}".encode(), "sha256") if normal else None


def place_of(aggregate: Aggregate, name: str, subject: str) -> int:
    """The newest first: minus the milliseconds that a subject's id (UUID version 7) begins with. What one alone has, has one place."""
    if name in aggregate.unique:
        return ALONE
    identity = subject.partition("/")[2]
    return -int(identity[:8] + identity[9:13], 16)


class Lookups:
    """Makes the rows of one service's own events again from their ciphertexts."""

    def __init__(self, states: States, master: Keyring | bytes) -> None:
        self._states = states
        self._ring = Keyring.of(master)
        self._vault = Vault(self._ring, _never, _never)
        self._key: bytes | None = None  # the database knows what it is derived from

    @staticmethod
    def needed(states: States) -> bool:
        return any(codec.aggregate.lookups for codec in states.codecs.values())

    async def rows(self, connection: Connection, sealed: Iterable[tuple[str, str, bytes]]) -> set[ROW]:
        """sealed: subject, reference and ciphertext. A value without a key that opens it has no row: forgotten, or not readable here."""
        wanted = [each for each in sealed if each[1].rpartition("/")[2] in self._states.codec(each[0]).aggregate.lookups]
        found: set[ROW] = set()
        if wanted and self._key is None:
            self._key = lookup_key(await root_of(connection, self._ring))
        for start in range(0, len(wanted), CHUNK):
            part = wanted[start : start + CHUNK]
            held = {row["subject"]: row["wrapped"] for row in await connection.fetch(KEYS, sorted({subject for subject, _, _ in part}))}
            ciphers: dict[str, AESGCM | None] = {}
            for n, (subject, ref, blob) in enumerate(part):
                if n % YIELD == YIELD - 1:
                    await asyncio.sleep(0)
                if subject not in ciphers:
                    ciphers[subject] = self._vault.cipher(subject, held[subject]) if subject in held else None
                cipher = ciphers[subject]
                if cipher is None:
                    continue
                try:
                    text = unseal(cipher, subject, ref, blob)
                except (InvalidTag, ValueError):
                    continue
                aggregate, name = self._states.codec(subject).aggregate, ref.rpartition("/")[2]
                if (digest := digest_of(aggregate, self._key or b"", name, text)) is not None:
                    found.add((subject, digest, place_of(aggregate, name, subject)))
        return found

    async def write(self, connection: Connection, source: str, subjects: Sequence[str]) -> None:
        """The rows of subjects whose keys came later than their events."""
        for start in range(0, len(subjects), CHUNK):
            sealed = [tuple(row) for row in await connection.fetch(SEALED, subjects[start : start + CHUNK], source)]
            found = Changes()
            found.came[LOOKUPS] += sorted(await self.rows(connection, sealed))
            await write(connection, found)


def _never() -> Any:
    raise AssertionError("It opens what it is given.")
