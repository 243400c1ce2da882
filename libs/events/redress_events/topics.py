"""The topics of the system, how they are made, and what must still be so: partitions are fixed at birth, facts are kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError

from redress_events.errors import WrongPartitions
from redress_events.facts import CLOSED, KEYS, LIFECYCLE

FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# A tombstone must clean a key for good within about a day: low dirty ratio, bounded lag, tombstones kept long enough for slow readers.
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": str(24 * 3600 * 1000),
    "delete.retention.ms": str(30 * 24 * 3600 * 1000),
}


MIN_INSYNC = "min.insync.replicas"
RECREATED = 60.0  # seconds within which topics must have been deleted and made anew


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """One topic as it must be."""

    name: str
    partitions: int
    settings: Mapping[str, str]
    min_insync: int


def wanted(partitions: int, min_insync: int = 1, prefix: str = "") -> list[Wanted]:
    return [
        Wanted(prefix + LIFECYCLE, partitions, FOREVER, min_insync),
        Wanted(prefix + CLOSED, partitions, FOREVER, min_insync),
        Wanted(prefix + KEYS, 1, COMPACTED, min_insync),
    ]


async def ensure(bootstrap: str, partitions: int = 12, replication: int = 1, min_insync: int = 1, prefix: str = "") -> None:
    """Make the topics that are missing; those that are there stay as they are. Raises WrongPartitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        missing = []
        for topic in wanted(partitions, min_insync, prefix):
            if topic.name not in there:
                settings = {**topic.settings, MIN_INSYNC: str(min_insync)}
                missing.append(NewTopic(topic.name, topic.partitions, replication, topic_configs=settings))
            elif there[topic.name] != topic.partitions:
                raise WrongPartitions(wrong_partitions(topic, there[topic.name]))
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *rest in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise RuntimeError(f"Kafka did not make topic {name}: error {code} {rest}")
    finally:
        await admin.close()


def wrong_partitions(topic: Wanted, there: int) -> str:
    return (
        f"Topic {topic.name} has {there} partitions, and REDRESS_PARTITIONS makes it {topic.partitions}. Whoever counts otherwise writes "
        "where nobody reads: set REDRESS_PARTITIONS to what the journals were numbered for, or make the topic anew (docs/operate.md)."
    )


async def partitions_of(bootstrap: str, names: Sequence[str]) -> dict[str, int | None]:
    """How many partitions each of these topics has; None where there is no such topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = await _described(admin, names)
        return {name: len(there[name]["partitions"]) if name in there else None for name in names}
    finally:
        await admin.close()


async def recreate(bootstrap: str, names: Sequence[str], partitions: int, prefix: str = "") -> None:
    """Delete these topics with all that is in them, and make them anew by the same rules; replication and the replicas that must be in sync
    are as they were. Raises TimeoutError where Kafka does not do it in time."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(RECREATED):
            replication, min_insync = 1, 1
            if there := await _described(admin, names):
                replication = max(len(each["replicas"]) for topic in there.values() for each in topic["partitions"])
                min_insync = max([await _min_insync(admin, name) for name in there])
                await admin.delete_topics(list(there))
            while True:
                if not await _described(admin, names):
                    break
                await asyncio.sleep(0.1)
            await ensure(bootstrap, partitions, replication, min_insync, prefix)
            while True:
                made = (await _described(admin, names)).values()
                if len(made) == len(names) and all(each["error_code"] == 0 for topic in made for each in topic["partitions"]):
                    return
                await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def _described(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Those of these topics that are there. All are asked for: a broker may make one that is asked for by its name."""
    return {each["topic"]: each for each in await admin.describe_topics() if each["topic"] in names}


async def _min_insync(admin: AIOKafkaAdminClient, name: str) -> int:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return int(next(value for _, _, _, _, settings in answer.resources for each, value, *_ in settings if each == MIN_INSYNC))
