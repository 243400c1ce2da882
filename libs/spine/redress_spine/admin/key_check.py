"""The keys to what is sealed: each is here and the master key unwraps it, or has a proof of its end; their maker's are on the topic."""

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
READ = "SELECT next FROM consumer_offsets WHERE topic = $1 AND partition = 0"

AGAIN = "Let a service that has it send its keys again: redress send-keys SERVICE"
CHANGED = "Somebody changed the table `keys`, or this is another master key. If it is the right one, delete that row, and then: " + AGAIN
Differs = Callable[[str, str, str, str], None]


class KeyCheck:
    """vault: opens nothing, and tells keys from what is none. differs: told where, which, what and the advice. buckets: how many parts the
    keys are compared in, so that few are held at once."""

    def __init__(self, reader: Reader, topic: str, vault: Vault, partition: Callable[[str], int], buckets: int, differs: Differs) -> None:
        self._source = reader.source
        self._reader = reader
        self._place = TopicPartition(topic, 0)
        self._vault = vault
        self._partition = partition
        self._buckets = buckets
        self._differs = differs
        self._rows, self._topic = Spool(), Spool()
        self._read = 0

    async def split(self, connection: asyncpg.Connection) -> int:
        """Within the snapshot of the state: every key by itself. Returns how many there are."""
        self._read = await connection.fetchval(READ, self._place.topic) or 0
        count = 0
        async for subject, sealed, here, wrapped, proof, acknowledged in connection.cursor(KEYS, prefetch=CHUNK):
            count += here
            if here and wrapped is None and not self._vault.proves(subject, proof):
                self._differs("keys", subject, "has a destroyed key, and nothing proves that anybody might destroy it", CHANGED)
            elif wrapped is not None and not self._vault.unwraps(subject, wrapped):
                self._differs("keys", subject, "has a key that the master key does not unwrap", CHANGED)
            elif sealed and not here:
                self._rows.put(self._partition(subject), (subject, None))
            elif wrapped is not None and acknowledged and self._source == MAKER:
                self._rows.put(self._partition(subject), (subject, sha256(wrapped).digest()))
        return count

    async def compare(self, consumer: Consumer) -> None:
        """With the topic of keys, from what is left of it to its end: it is compacted, so it need not begin at 0."""
        ((start, end),) = (await bounds(consumer, [self._place])).values()
        async for records in ahead(consumer, self._place, start, end):
            for record in records:
                if record.value is None or record.mark or record.unreadable:
                    continue
                if not isinstance(judged := judged_key(self._reader, self._vault, record), DeadLetter):
                    subject = judged[0]
                    self._topic.put(self._partition(subject), (subject, sha256(record.value).digest(), record.offset))
        for bucket in range(self._buckets):
            self._compare(bucket)

    def _compare(self, bucket: int) -> None:
        sent: dict[str, dict[bytes, int]] = {}
        for subject, digest, offset in self._topic.rows(bucket):
            sent.setdefault(subject, {})[digest] = offset
        for subject, digest in self._rows.rows(bucket):
            if digest is None and not self._comes(sent.get(subject, {})):
                self._differs("keys", subject, "has sealed words and no key: it is missing, and no proof says that it was destroyed", AGAIN)
            elif digest is not None and digest not in sent.get(subject, {}):
                what = "has a key that is not on the topic of keys: who does not have it yet never gets it"
                self._differs("keys", subject, what, f"redress send-keys {self._source}")

    def _comes(self, sent: Mapping[bytes, int]) -> bool:
        """Whether it stands where this service has not read yet."""
        return any(offset >= self._read for offset in sent.values())

    def close(self) -> None:
        self._rows.close()
        self._topic.close()
