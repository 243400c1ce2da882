"""The topics of the system and how they are made: partitions are fixed at birth, facts are kept for ever."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from redress_events.facts import CLOSED, KEYS, LIFECYCLE

FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# A tombstone must clean a key for good within about a day: low dirty ratio, bounded lag, tombstones kept long enough for slow readers.
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": str(24 * 3600 * 1000),
    "delete.retention.ms": str(30 * 24 * 3600 * 1000),
}


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics' names on one Kafka. A prefix keeps systems apart that share it."""

    prefix: str = ""

    def __call__(self, topic: str) -> str:
        return self.prefix + topic

    @property
    def lifecycle(self) -> str:
        return self(LIFECYCLE)

    @property
    def keys(self) -> str:
        return self(KEYS)


async def ensure(bootstrap: str, partitions: int = 12, replication: int = 1, min_insync: int = 1, prefix: str = "") -> None:
    """Make the topics that are missing; those that are there stay as they are."""
    settings = {"min.insync.replicas": str(min_insync)}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        wanted = [
            NewTopic(prefix + LIFECYCLE, partitions, replication, topic_configs=FOREVER | settings),
            NewTopic(prefix + CLOSED, partitions, replication, topic_configs=FOREVER | settings),
            NewTopic(prefix + KEYS, 1, replication, topic_configs=COMPACTED | settings),
        ]
        missing = [topic for topic in wanted if topic.name not in there]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *rest in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise RuntimeError(f"Kafka did not make topic {name}: error {code} {rest}")
    finally:
        await admin.close()
