"""Personal fields: sealed before they reach the journal, opened for those who may read, lost for good when the key is destroyed.

AES-256-GCM, one data key for each complaint, wrapped by a master key; the additional data is the fact's id and the field, so a ciphertext
cannot be moved elsewhere. Only intake makes keys; the others hold what comes on the compacted topic of keys.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from redress_events.facts import Fact
from redress_events.states import Connection

PREFIX = "sealed:1:"
# One row for each value that is there, and one at least where the key is: the key is asked for each time, so that no replica keeps it in
# memory beyond its destruction. Index: keys_pkey, sealed_pkey.
OPEN = """
SELECT k.wrapped, k.destroyed, s.ref, s.ciphertext
FROM keys k LEFT JOIN sealed s ON s.subject = k.subject AND s.ref = ANY ($2::text[]) WHERE k.subject = $1
"""
# `destroyed` wins over any later key record, and a key is never exchanged for another.
STORE = """
INSERT INTO keys (subject, wrapped, destroyed, acknowledged)
SELECT k.subject, k.wrapped, k.wrapped IS NULL, true FROM unnest($1::text[], $2::bytea[]) k (subject, wrapped) ORDER BY k.subject
ON CONFLICT (subject) DO UPDATE SET
    wrapped = CASE WHEN keys.destroyed OR excluded.destroyed THEN NULL ELSE keys.wrapped END,
    destroyed = keys.destroyed OR excluded.destroyed,
    acknowledged = true
WHERE excluded.destroyed AND NOT keys.destroyed OR NOT keys.acknowledged
"""


class Forgotten(Exception):
    """The complaint's key was destroyed: nothing can be sealed for it or opened any more."""


class NotSealed(ValueError):
    """A personal field stands in clear on the log, or its ciphertext is no ciphertext."""


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

    `wait_for_keys` returns once the topic of keys was read to its end as of now; it raises when Kafka cannot say.
    """

    def __init__(
        self,
        master: bytes,
        connect: Callable[[], AbstractAsyncContextManager[Connection]],
        wait_for_keys: Callable[[], Awaitable[None]],
    ) -> None:
        self._master = AESGCM(master)
        self._connect = connect
        self._wait_for_keys = wait_for_keys

    def make_key(self, subject: str) -> tuple[AESGCM, bytes]:
        """A new data key and its wrapped form. The caller stores the latter in the same transaction as the first sealed fact."""
        key = os.urandom(32)
        nonce = os.urandom(12)
        return AESGCM(key), nonce + self._master.encrypt(nonce, key, subject.encode())

    async def key(self, subject: str) -> AESGCM:
        """The complaint's key. A key that is not here yet is waited for. Raises Forgotten."""
        return (await self._key_and_sealed(subject, []))[0]

    async def _key_and_sealed(self, subject: str, refs: Sequence[str]) -> tuple[AESGCM, list[asyncpg.Record]]:
        async with self._connect() as connection:
            rows = await connection.fetch(OPEN, subject, list(refs))
        if not rows:
            await self._wait_for_keys()
            async with self._connect() as connection:
                rows = await connection.fetch(OPEN, subject, list(refs))
        if not rows or rows[0]["destroyed"]:
            raise Forgotten(subject)
        wrapped = rows[0]["wrapped"]
        return AESGCM(self._master.decrypt(wrapped[:12], wrapped[12:], subject.encode())), rows

    def fits(self, subject: str, wrapped: bytes | None) -> bool:
        """Whether a record of the topic of keys is one: wrapped by our master key for this subject, or a tombstone."""
        if wrapped is None:
            return True
        try:
            return len(self._master.decrypt(wrapped[:12], wrapped[12:], subject.encode())) == 32
        except (InvalidTag, ValueError):
            return False

    async def store(self, connection: Connection, records: Mapping[str, bytes | None]) -> None:
        """Keep what came on the topic of keys; None is a tombstone."""
        await connection.execute(STORE, list(records), list(records.values()))

    async def open(self, subject: str, refs: Sequence[str]) -> dict[str, str]:
        """Clear text by reference. A forgotten complaint opens to nothing."""
        if not refs:
            return {}
        try:
            key, rows = await self._key_and_sealed(subject, refs)
        except Forgotten:
            return {}
        opened = {}
        for row in rows:
            if row["ref"] is None:
                continue
            try:
                opened[row["ref"]] = unseal(key, subject, row["ref"], row["ciphertext"])
            except InvalidTag:  # sealed by somebody else's key, while a forgetting was under way: unreadable, rightly
                continue
        return opened


def seal(key: AESGCM, subject: str, ref: str, text: str) -> bytes:
    nonce = os.urandom(12)
    return nonce + key.encrypt(nonce, text.encode(), f"{subject}/{ref}".encode())


def unseal(key: AESGCM, subject: str, ref: str, blob: bytes) -> str:
    return key.decrypt(blob[:12], blob[12:], f"{subject}/{ref}".encode()).decode()


def on_the_log(blob: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(blob).decode()


def needs_key(facts: Sequence[Fact]) -> bool:
    return any(getattr(fact, name) is not None for fact in facts for name in fact.personal_fields())
