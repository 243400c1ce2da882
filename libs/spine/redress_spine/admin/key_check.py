"""The keys to what is sealed: each is here and the master key unwraps it, or was destroyed by a forgetting, with its proof; their maker's
are on the topic. Who was forgotten has no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

import asyncpg
from aiokafka import TopicPartition

from redress_spine.messaging.kafka_clients import Consumer
from redress_spine.messaging.records import DeadLetter, Reader
from redress_spine.messaging.spool import Spool
from redress_spine.messaging.whole_log import ahead, bounds
from redress_spine.processing.projector import judged_key
from redress_spine.store.vault import MAKER, Vault

CHUNK = 1_000
# The subjects whose words this service holds, with their keys; and the keys of which there are no words (yet).
KEYS = """
SELECT coalesce(s.subject, k.subject), s.subject IS NOT NULL, k.subject IS NOT NULL, k.wrapped, k.proof, k.acknowledged
FROM (SELECT DISTINCT subject FROM sealed) s FULL JOIN keys k USING (subject)
"""
# Index: keys_pkey.
STILL_HERE = "SELECT subject FROM keys WHERE subject = ANY ($1::text[]) AND NOT destroyed ORDER BY subject"
READ = "SELECT next FROM consumer_offsets WHERE topic = $1 AND partition = 0"

AGAIN = "Let a service that has it send its keys again: redress send-keys SERVICE"
WITHOUT_PROOF = (
    "If it was forgotten a moment ago, its event is on its way: verify again. If not, somebody with the keys of records "
    "destroyed it: restore the keys from a backup, and find out who had access to that folder."
)
CHANGED = "Somebody changed the table `keys`, or this is another master key. If it is the right one, delete that row, and then: " + AGAIN
NEEDED = "Put its file back, and then: redress keys rewrap"
Differs = Callable[[str, str, str, str], None]


class KeyCheck:
    """whole: False once a part of the log is missing, so that not every forgetting can be known.
    vault: opens nothing, and tells keys from what is none. differs: told where, which, what and the advice. buckets: how many parts the
    keys are compared in, so that few are held at once. forgettings: whether those are told; without them nothing is said of what was
    destroyed but its proof."""

    def __init__(
        self,
        reader: Reader,
        topic: str,
        vault: Vault,
        partition: Callable[[str], int],
        buckets: int,
        differs: Differs,
        forgettings: bool = True,
    ) -> None:
        self._forgettings = forgettings
        self._source = reader.source
        self._reader = reader
        self._place = TopicPartition(topic, 0)
        self._vault = vault
        self._partition = partition
        self._buckets = buckets
        self._differs = differs
        self._rows, self._topic, self._destroyed, self._forgotten = [Spool() for _ in range(4)]
        self._read = 0
        self.whole = True

    async def split(self, connection: asyncpg.Connection) -> tuple[int, int]:
        """Within the snapshot of the state: every key by itself. Returns how many there are, and how many of them are destroyed."""
        self._read = await connection.fetchval(READ, self._place.topic) or 0
        count = forgotten = 0
        async for subject, sealed, here, wrapped, proof, acknowledged in connection.cursor(KEYS, prefetch=CHUNK):
            count += here
            if here and wrapped is None:
                if not self._vault.proves(subject, proof):
                    self._differs("keys", subject, "has a destroyed key, and nothing proves that this was allowed", CHANGED)
                    continue
                forgotten += 1
                self._destroyed.put(self._partition(subject), (subject, acknowledged))
            elif wrapped is not None and (number := self._vault.lacks(wrapped)) is not None:
                self._differs("keys", subject, f"has a key that master key {number} wrapped, and that one is not here", NEEDED)
            elif wrapped is not None and not self._vault.unwraps(subject, wrapped):
                self._differs("keys", subject, "has a key that the master key does not unwrap", CHANGED)
            elif sealed and not here:
                self._rows.put(self._partition(subject), (subject, None))
            elif wrapped is not None and acknowledged and self._source == MAKER:
                self._rows.put(self._partition(subject), (subject, sha256(wrapped).digest()))
        return count, forgotten

    def forgotten(self, subject: str, proof: bytes, read: bool) -> None:
        """Such an event stands in journal or log. read: this service has read it, and so has no key any more."""
        if self._vault.proves(subject, proof):
            self._forgotten.put(self._partition(subject), (subject, read))

    async def compare(self, connection: asyncpg.Connection, consumer: Consumer) -> None:
        """With the topic of keys, from what is left of it to its end: it is compacted, so it need not begin at 0. All that was forgotten
        is told by now."""
        ((start, end),) = (await bounds(consumer, [self._place])).values()
        async for records in ahead(consumer, self._place, start, end):
            for record in records:
                if record.mark or record.unreadable:
                    continue
                if not isinstance(judged := judged_key(self._reader, self._vault, record), DeadLetter | None):
                    subject = judged[0]
                    digest = None if record.value is None else sha256(record.value).digest()
                    self._topic.put(self._partition(subject), (subject, digest, record.offset))
        for bucket in range(self._buckets):
            await self._compare(connection, bucket)

    async def _compare(self, connection: asyncpg.Connection, bucket: int) -> None:
        sent: dict[str, dict[bytes, int]] = {}
        came_back: dict[str, bool] = {}  # whether a key is the last that the topic says of a subject
        for subject, digest, offset in self._topic.rows(bucket):
            came_back[subject] = digest is not None
            if digest is not None:
                sent.setdefault(subject, {})[digest] = offset
        if self._forgettings:
            await self._compare_forgotten(connection, bucket, came_back)
        for subject, digest in self._rows.rows(bucket):
            if digest is None and not self._comes(sent.get(subject, {})):
                self._differs("keys", subject, "has sealed words and no key: it is missing, and no proof says that it was destroyed", AGAIN)
            elif digest is not None and digest not in sent.get(subject, {}):
                what = "has a key that is not on the topic of keys: services that do not have it yet never get it"
                self._differs("keys", subject, what, f"redress send-keys {self._source}")

    async def _compare_forgotten(self, connection: asyncpg.Connection, bucket: int, came_back: Mapping[str, bool]) -> None:
        forgotten: dict[str, bool] = {}
        for subject, read in self._forgotten.rows(bucket):
            forgotten[subject] = read or forgotten.get(subject, False)
        for subject, acknowledged in self._destroyed.rows(bucket):
            if subject not in forgotten and (self.whole or self._source == MAKER):
                what = "has a destroyed key, and no event says that it was forgotten: destroyed without proof"
                self._differs("keys", subject, what, WITHOUT_PROOF)
            elif self._source == MAKER and acknowledged and came_back.get(subject):
                what = "was forgotten, and a key of it stands on the topic of keys again"
                self._differs("keys", subject, what, f"redress send-keys {self._source}")
        read = [subject for subject, read in forgotten.items() if read]
        for start in range(0, len(read), CHUNK):
            for row in await connection.fetch(STILL_HERE, read[start : start + CHUNK]):
                what = "was forgotten, and its key is still here"
                self._differs("keys", row["subject"], what, f"Destroy it again by the log: redress rebuild {self._source}")

    def _comes(self, sent: Mapping[bytes, int]) -> bool:
        """Whether it stands where this service has not read yet."""
        return any(offset >= self._read for offset in sent.values())

    def close(self) -> None:
        for spool in (self._rows, self._topic, self._destroyed, self._forgotten):
            spool.close()
