"""The topics of the system, how they are made, and what must still be so: partitions are fixed at birth, events are kept forever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from redress_events.vocabulary import EVENT_TOPICS, KEYS, LIFECYCLE
from redress_spine.messaging.kafka_clients import Admin, Client, KafkaClients
from redress_spine.store.errors import TopicsNotMade, WrongPartitions

FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
# A tombstone must clean a key for good within about a day: low dirty ratio, bounded lag, tombstones kept long enough for slow readers.
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": str(24 * 3600 * 1000),
    "delete.retention.ms": str(30 * 24 * 3600 * 1000),
}


MIN_INSYNC = "min.insync.replicas"
LEARNED = 10.0  # seconds within which each broker knows a topic that was made
RECREATED = 60.0  # seconds within which topics must have been deleted and recreated


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
class Replicas:
    """How often Kafka keeps a topic. factor: copies of each partition. min_insync: those of them that must have a record before it is
    acknowledged."""

    factor: int
    min_insync: int

    @property
    def possible(self) -> bool:
        return self.factor >= self.min_insync

    @property
    def to_spare(self) -> bool:
        """Whether relays go on while one broker is away. Said of one broker alone it would be no news."""
        return self.factor > self.min_insync or self.factor == 1

    def __str__(self) -> str:
        return f"{self.factor} {'replica' if self.factor == 1 else 'replicas'}, {self.min_insync} of them in sync"


# By REDRESS_PROFILE, where the environment says nothing else.
REPLICAS = {"local": Replicas(1, 1), "production": Replicas(3, 2)}


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """One topic as it must be."""

    name: str
    partitions: int
    settings: Mapping[str, str]
    min_insync: int


def wanted(partitions: int, min_insync: int = 1, prefix: str = "") -> list[WantedTopic]:
    return [
        *(WantedTopic(prefix + topic, partitions, FOREVER, min_insync) for topic in EVENT_TOPICS),
        WantedTopic(prefix + KEYS, 1, COMPACTED, min_insync),
    ]


async def ensure(kafka: KafkaClients | str, partitions: int = 12, replicas: Replicas = REPLICAS["local"], prefix: str = "") -> None:
    """Make the topics that are missing, and wait until each broker knows them; those that are there stay as they are. Raises
    WrongPartitions, TopicsNotMade."""
    if not replicas.possible:
        raise TopicsNotMade(f"There is no topic with {replicas}.")
    admin = KafkaClients.of(kafka).admin()
    await admin.start()
    try:
        there = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        missing = []
        for topic in wanted(partitions, replicas.min_insync, prefix):
            if topic.name not in there:
                settings = {**topic.settings, MIN_INSYNC: str(replicas.min_insync)}
                missing.append(NewTopic(topic.name, topic.partitions, replicas.factor, topic_configs=settings))
            elif there[topic.name] != topic.partitions:
                raise WrongPartitions(wrong_partitions(topic, there[topic.name]))
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *rest in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    why = " ".join([for_code(code).__name__, *filter(None, rest)])
                    raise TopicsNotMade(f"Kafka did not make topic {name} with {replicas}: {why}")
            await _known_to_all(kafka, [topic.name for topic in missing])
    finally:
        await admin.close()


async def _known_to_all(kafka: KafkaClients | str, names: Sequence[str]) -> None:
    """Wait until every broker knows these topics and who leads them: whoever asks next may ask any of them. Raises TopicsNotMade."""
    client, asked = KafkaClients.of(kafka).client(), set(names)
    ignorant: int | None = None
    try:
        async with asyncio.timeout(LEARNED):
            await client.bootstrap()
            for ignorant in sorted(broker.nodeId for broker in client.cluster.brokers()):
                while True:
                    if asked <= await _led(client, ignorant):
                        break
                    await asyncio.sleep(0.05)
    except TimeoutError:
        who = "no broker answers" if ignorant is None else f"broker {ignorant} does not know them"
        raise TopicsNotMade(f"Kafka made {', '.join(names)}, and {who} after {LEARNED:.0f} s: is it healthy? Then do this again.") from None
    finally:
        await client.close()


async def _led(client: Client, broker: int) -> set[str]:
    """The topics that this broker knows with a leader for each partition; none where it does not answer. All are asked for, as below."""
    try:
        answer = await client.send(broker, MetadataRequest(None))
    except KafkaError:
        return set()
    topics = answer.to_object()["topics"]
    return {each["topic"] for each in topics if not each["error_code"] and not any(part["error_code"] for part in each["partitions"])}


def wrong_partitions(topic: WantedTopic, there: int) -> str:
    return (
        f"Topic {topic.name} has {there} partitions, and REDRESS_PARTITIONS makes it {topic.partitions}. With a wrong number, records are "
        "written where no service reads them: set REDRESS_PARTITIONS to what the journals were numbered for, "
        "or recreate the topic (docs/operate.md)."
    )


async def partitions_of(kafka: KafkaClients | str, names: Sequence[str]) -> dict[str, int | None]:
    """How many partitions each of these topics has; None where there is no such topic."""
    admin = KafkaClients.of(kafka).admin()
    await admin.start()
    try:
        there = await _described(admin, names)
        return {name: len(there[name]["partitions"]) if name in there else None for name in names}
    finally:
        await admin.close()


async def replicas_for(kafka: KafkaClients | str, names: Sequence[str], prefix: str = "") -> Replicas | None:
    """As many as these topics have; where none of them is there, as many as the other topics of the system have; else one, if Kafka has one
    broker. None where nothing tells."""
    admin = KafkaClients.of(kafka).admin()
    await admin.start()
    try:
        others = [topic.name for topic in wanted(1, prefix=prefix)]
        if there := await _described(admin, names) or await _described(admin, others):
            factor = max(len(each["replicas"]) for topic in there.values() for each in topic["partitions"])
            return Replicas(factor, max([await _min_insync(admin, name) for name in there]))
        return Replicas(1, 1) if len((await admin.describe_cluster())["brokers"]) == 1 else None
    finally:
        await admin.close()


async def brokers_of(kafka: KafkaClients | str) -> int:
    """How many brokers Kafka has now."""
    admin = KafkaClients.of(kafka).admin()
    await admin.start()
    try:
        return len((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


async def recreate(kafka: KafkaClients | str, names: Sequence[str], partitions: int, replicas: Replicas, prefix: str = "") -> None:
    """Delete these topics with all that is in them, and make them again by the same rules, with so many replicas. Raises TopicsNotMade, and
    TimeoutError where Kafka does not do it in time."""
    admin = KafkaClients.of(kafka).admin()
    await admin.start()
    try:
        async with asyncio.timeout(RECREATED):
            if there := await _described(admin, names):
                await admin.delete_topics(list(there))
            while True:
                if not await _described(admin, names):
                    break
                await asyncio.sleep(0.1)
            await ensure(kafka, partitions, replicas, prefix)
    finally:
        await admin.close()


async def _described(admin: Admin, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Those of these topics that are there. All are asked for: a broker may make one that is asked for by its name."""
    return {each["topic"]: each for each in await admin.describe_topics() if each["topic"] in names}


async def _min_insync(admin: Admin, name: str) -> int:
    """Of a topic that is there. A broker that has not learned of it yet says nothing of its settings, and is asked again."""
    async with asyncio.timeout(LEARNED):
        while True:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            if said := [value for _, _, _, _, settings in answer.resources for each, value, *_ in settings if each == MIN_INSYNC]:
                return int(said[0])
            await asyncio.sleep(0.1)
