"""Personal fields: sealed before they reach the journal, opened for those who may read, lost for good when the key is destroyed.

AES-256-GCM, one data key for each subject, wrapped by a master key; the additional data is the event's id and the field, so a ciphertext
cannot be moved elsewhere. Only intake makes keys; the others hold what comes on the compacted topic of keys. A key that is not here is late
or lost, and said to be; destroyed is what a tombstone with its proof destroyed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redress_events.event import Event
from redress_spine.messaging.mac import NO_KEYS, MacKeys
from redress_spine.store.arrays import parameter
from redress_spine.store.errors import KeyMissing, PlaintextMissing
from redress_spine.store.forgetting import forget, proof_of
from redress_spine.store.keyring import KEY_BYTES, Keyring, number_of
from redress_spine.store.states import Connection

log = structlog.get_logger(__name__)

PREFIX = "sealed:1:"
PROOF = "proof"  # the header of a tombstone that has its proof
MAKER = "intake"  # the only service that makes keys, and that may say that one is destroyed
OPENED_AT_ONCE = 256 * 1024  # bytes decrypted before others have their turn: about half a millisecond
LATE, LOST = 2, 60  # seconds after which to ask again
# One row for each value that is there, and one at least where the key is: the key is asked for each time, so that no replica keeps it in
# memory beyond its destruction. Index: keys_pkey, sealed_pkey.
OPEN = """
SELECT k.subject, k.wrapped, k.proof, s.ref, s.ciphertext
FROM keys k
LEFT JOIN (unnest($2::text[], $3::text[]) w (subject, ref) JOIN sealed s USING (subject, ref)) ON s.subject = k.subject
WHERE k.subject = ANY ($1::text[])
"""
# `destroyed` wins over any later key record, and a key is never exchanged for another. A key that comes does not acknowledge a tombstone
# that is still to be sent.
STORE = """
INSERT INTO keys (subject, wrapped, destroyed, proof, acknowledged)
SELECT k.subject, k.wrapped, k.wrapped IS NULL, k.proof, true
FROM unnest(%s) k (subject, wrapped, proof) ORDER BY k.subject
ON CONFLICT (subject) DO UPDATE SET
    wrapped = CASE WHEN keys.destroyed OR excluded.destroyed THEN NULL ELSE keys.wrapped END,
    destroyed = keys.destroyed OR excluded.destroyed,
    proof = coalesce(keys.proof, excluded.proof),
    acknowledged = true
WHERE excluded.destroyed AND NOT keys.destroyed OR NOT keys.acknowledged AND (excluded.destroyed OR NOT keys.destroyed)
"""
KEY_KINDS = ("text", "bytea", "bytea")  # of a subject, its wrapped key, and the proof that it was destroyed
# What a service does whose topic of keys is no longer the one that it read: reads it from its beginning, which harms nobody, and sends what
# keys it has again, for all that were acknowledged went to a log that is gone.
ANEW = """
WITH sent_again AS (UPDATE relay_checkpoint SET keys_from = '')
UPDATE consumer_offsets SET next = 0, epoch = epoch + 1, topic_id = NULL, last_offset = NULL, last_hash = NULL WHERE topic = $1
"""


class Forgotten(Exception):
    """The subject's key was destroyed, which is proved: nothing can be sealed for it or opened any more."""


class NotSealed(ValueError):
    """A personal field stands in clear on the log, or its ciphertext is no ciphertext."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What came on the topic of keys: a wrapped key, or a tombstone (wrapped None) with its proof."""

    wrapped: bytes | None
    proof: bytes | None = None


def store_sql(first: int) -> str:
    """The statement that keeps `key_rows`, a column each in its parameters from this one on."""
    return STORE % ", ".join(parameter(first + n, kind) for n, kind in enumerate(KEY_KINDS))


def key_rows(records: Mapping[str, KeyRecord]) -> list[tuple[str, bytes | None, bytes | None]]:
    return [(subject, each.wrapped, each.proof) for subject, each in records.items()]


def reference(source: str, version: int, field: str) -> str:
    """Under which a personal value is stored and found again: `<source>/<version>/<field>`."""
    return f"{source}/{version}/{field}"


def ciphertext_of(value: object) -> bytes:
    """The bytes behind a sealed field on the log. Raises NotSealed."""
    if not isinstance(value, str) or not value.startswith(PREFIX):
        raise NotSealed("A personal field is not sealed.")
    try:
        blob = base64.b64decode(value[len(PREFIX) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotSealed("A sealed field is not base64.") from error
    if len(blob) < 28:
        raise NotSealed("A sealed field is too short.")
    return blob


class Vault:
    """One service's keys. `connect` lends a connection, never while waiting for a key.

    `wait_for_keys` waits until the topic of keys was read to its end as of now; False where it was not in time, or Kafka cannot say.
    mac: by whose keys it is proved that a key was destroyed; without them nothing is.
    """

    def __init__(
        self,
        master: Keyring | bytes,
        connect: Callable[[], AbstractAsyncContextManager[Connection]],
        wait_for_keys: Callable[[], Awaitable[bool]],
        mac: MacKeys = NO_KEYS,
    ) -> None:
        self._master = Keyring.of(master)
        self._mac = mac
        self._connect = connect
        self._wait_for_keys = wait_for_keys

    def make_key(self, subject: str) -> tuple[AESGCM, bytes]:
        """A new data key and its wrapped form. The caller stores the latter in the same transaction as the first sealed event."""
        key = os.urandom(KEY_BYTES)
        return AESGCM(key), self._master.wrap(subject, key)

    def proves(self, subject: str, proof: bytes | None) -> bool:
        """Whether this is the proof that the subject's key was destroyed: the MAC of the service that makes keys."""
        return self._mac.proves_destroyed(MAKER, subject, proof)

    def destroyed_by(self, subject: str, event: Event | None) -> KeyRecord | None:
        """What an event that was read does to its subject's key: nothing, where it forgets nobody or has not the proof."""
        proof = proof_of(event)
        if proof is None:
            return None
        if not self.proves(subject, proof):
            log.error("forgetting-not-proved", subject=subject)
            return None
        return KeyRecord(None, proof)

    def unwraps(self, subject: str, wrapped: bytes) -> bool:
        """Whether this is a key that a master key of ours wrapped for this subject."""
        return self._master.unwrap(subject, wrapped) is not None

    def anew(self, subject: str, wrapped: bytes) -> bytes:
        """The same key as it is kept here: one that comes late, and that an older master key wrapped, is wrapped by the current one."""
        late = self._master.wraps and number_of(wrapped) < self._master.current
        key = self._master.unwrap(subject, wrapped) if late else None
        return wrapped if key is None else self._master.wrap(subject, key)

    def lacks(self, wrapped: bytes) -> int | None:
        """The number of the master key that wrapped this, where that one is not here."""
        return self._master.lacks(wrapped)

    def retired(self, wrapped: bytes) -> bool:
        """Whether a master key wrapped this that was taken away after its time."""
        return self._master.retired(wrapped)

    def cipher(self, subject: str, wrapped: bytes) -> AESGCM | None:
        """The subject's data key; None where no master key of ours wrapped it."""
        key = self._master.unwrap(subject, wrapped)
        return AESGCM(key) if key else None

    async def store(self, connection: Connection, records: Mapping[str, KeyRecord]) -> None:
        """Keep what came on the topic of keys, by subject. Each unwraps, or is a tombstone that is proved."""
        if not records:
            return
        await connection.execute(store_sql(1), *map(list, zip(*key_rows(records), strict=True)))
        if destroyed := [subject for subject, each in records.items() if each.wrapped is None]:
            await forget(connection, destroyed)

    async def ciphers(self, subjects: Iterable[str]) -> dict[str, AESGCM | Forgotten | KeyMissing]:
        """The keys of these subjects, or why there is none. Those that are not here are waited for, all at once."""
        return {subject: held if isinstance(held, Exception) else held.cipher for subject, held in (await self._held(subjects, [])).items()}

    async def open(self, subject: str, refs: Sequence[str]) -> dict[str, str]:
        """Clear text by reference. A forgotten subject opens to nothing. Raises KeyMissing, PlaintextMissing."""
        opened = (await self.open_all({subject: refs}))[subject]
        if isinstance(opened, Exception):
            raise opened
        return opened

    async def open_all(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str] | KeyMissing | PlaintextMissing]:
        """The same for many subjects: for each its clear text, or why it cannot be had. A missing key costs one wait for all of them."""
        opened: dict[str, dict[str, str] | KeyMissing | PlaintextMissing] = {subject: {} for subject in wanted}
        refs = [(subject, ref) for subject, each in wanted.items() for ref in each]
        held = await self._held({subject for subject, _ in refs}, refs)
        done = 0
        for subject, ref in refs:
            keys, words = held[subject], opened[subject]
            if isinstance(keys, KeyMissing):
                opened[subject] = keys
            elif not isinstance(keys, Forgotten) and isinstance(words, dict):
                blob = keys.sealed.get(ref, b"")
                try:
                    words[ref] = unseal(keys.cipher, subject, ref, blob)
                except (InvalidTag, ValueError):
                    which = "is sealed with a key other than the subject's" if blob else "is not here"
                    opened[subject] = PlaintextMissing(f"The ciphertext {ref} of {subject} {which}. See: redress verify", LOST)
                if (done := done + len(blob)) >= OPENED_AT_ONCE:
                    done = 0
                    await asyncio.sleep(0)
        return opened

    async def _held(self, subjects: Iterable[str], refs: Sequence[tuple[str, str]]) -> dict[str, _Held | Forgotten | KeyMissing]:
        wanted = sorted(set(subjects))
        if not wanted:
            return {}
        found = await self._found(wanted, refs)
        whole = True
        if missing := [subject for subject in wanted if subject not in found]:
            whole = await self._wait_for_keys()
            found |= await self._found(missing, [(subject, ref) for subject, ref in refs if subject not in found])
        return {subject: self._judged(subject, found.get(subject), whole) for subject in wanted}

    async def _found(self, subjects: Sequence[str], refs: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
        async with self._connect() as connection:
            rows = await connection.fetch(OPEN, subjects, [subject for subject, _ in refs], [ref for _, ref in refs])
        found: dict[str, list[Any]] = {}
        for row in rows:
            found.setdefault(row["subject"], []).append(row)
        return found

    def _judged(self, subject: str, rows: Sequence[Any] | None, whole: bool) -> _Held | Forgotten | KeyMissing:
        if not rows and not whole:
            return KeyMissing(f"The key of {subject} is not here yet: the topic of keys could not be read to its end.", LATE)
        if not rows:
            return KeyMissing(
                f"The key of {subject} is missing: it is neither here nor on the topic of keys. Send it again: redress send-keys intake",
                LOST,
            )
        wrapped, proof = rows[0]["wrapped"], rows[0]["proof"]
        if wrapped is None:
            proved = self.proves(subject, proof)
            return Forgotten(subject) if proved else KeyMissing(f"Nothing proves that the key of {subject} was destroyed.", LOST)
        if (key := self._master.unwrap(subject, wrapped)) is None:
            if (number := self.lacks(wrapped)) is not None:
                return KeyMissing(f"The key of {subject} was wrapped by master key {number}, which is not here: put its file back.", LOST)
            return KeyMissing(f"The key of {subject} cannot be unwrapped: this is not the master key that wrapped it.", LOST)
        return _Held(AESGCM(key), {row["ref"]: row["ciphertext"] for row in rows if row["ref"] is not None})


@dataclass(frozen=True, slots=True)
class _Held:
    cipher: AESGCM
    sealed: Mapping[str, bytes]


def seal(key: AESGCM, subject: str, ref: str, text: str) -> bytes:
    nonce = os.urandom(12)
    return nonce + key.encrypt(nonce, text.encode(), f"{subject}/{ref}".encode())


def unseal(key: AESGCM, subject: str, ref: str, blob: bytes) -> str:
    return key.decrypt(blob[:12], blob[12:], f"{subject}/{ref}".encode()).decode()


def on_the_log(blob: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(blob).decode()


def needs_key(events: Sequence[Event]) -> bool:
    return any(getattr(event, name) is not None for event in events for name in event.personal_fields())
