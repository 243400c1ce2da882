"""Settings that must equal reality, compared with it at the start and now and then: partitions, how the topics keep what is on them, and
what Kafka lets us do with them.

A wrong count of partitions refuses commands, for what is written by it reaches nobody. Everything else is told, in readiness before the
process was ever ready and as an alarm afterwards: a front door that closes because somebody changed a topic helps nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import asyncpg
import structlog
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.kafka_rights import DESCRIBE_CONFIGS, lacking
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.relay import close
from redress_spine.messaging.topic_metadata import ClusterSeen, TopicSeen
from redress_spine.messaging.topics import MIN_INSYNC, Replicas, WantedTopic, wrong_partitions
from redress_spine.store.errors import Unavailable, WrongPartitions, safe_message

log = structlog.get_logger(__name__)

EVERY = 60.0  # seconds between two looks
SOON = 2.0  # seconds to the next one while Kafka does not answer, or something is wrong
COUNT = "INSERT INTO public.partitioning (partitions) VALUES ($1) ON CONFLICT DO NOTHING"
COUNTED = "SELECT partitions FROM public.partitioning"


class Reality:
    """wrong: why commands are refused, if they are. flaws: what else is not as it must be. topics: the one of the events first.
    needed: what we must be allowed to do with each. group: as whose member we read."""

    def __init__(
        self,
        source: str,
        kafka: KafkaClients | str,
        topics: Sequence[WantedTopic],
        log_end: LogEnd,
        needed: Mapping[str, Collection[str]] = {},
        group: str = "",
    ) -> None:
        self._source = source
        self._kafka = KafkaClients.of(kafka)
        self._topics = topics
        self._needed = needed
        self._group = group
        self._log_end = log_end
        self.wrong: str | None = None
        self.flaws: list[str] = []
        self._spare = True

    async def begin(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """Compare the journal, then the topics, and number the journal if nobody has: for one count of partitions, forever. With Kafka
        away the journal alone says. Raises WrongPartitions, and Unavailable where neither can say."""
        self._compare(counted := await connection.fetchval(COUNTED))
        there: Collection[str] = ()
        with suppress(ConnectionError):
            there = await self.look()
        if counted is not None:
            return
        if self._topics[0].name not in there:
            raise Unavailable(
                f"The journal of {self._source} is not numbered for any count of partitions yet, and Kafka does not say how many "
                f"{self._topics[0].name} has: run the migration, or wait for Kafka. {self._log_end.refusal or ''}".rstrip()
            )
        await connection.execute(COUNT, self._topics[0].partitions)
        self._compare(await connection.fetchval(COUNTED))

    def _compare(self, counted: int | None) -> None:
        ours = self._topics[0].partitions
        if counted not in (None, ours):
            raise WrongPartitions(
                f"The journal of {self._source} is numbered for {counted} partitions, REDRESS_PARTITIONS is {ours}: set it to {counted}."
            )

    async def topics_now(self) -> ClusterSeen:
        """The cluster and our topics. Raises WrongPartitions where these are not as many partitions as ours, ConnectionError."""
        seen = await self._log_end.topics([topic.name for topic in self._topics])
        counts = {name: topic.partitions for name, topic in seen.topics.items()}
        self.wrong = next((wrong_partitions(each, counts[each.name]) for each in self._topics if _differs(each, counts)), None)
        if self.wrong:
            raise WrongPartitions(self.wrong)
        return seen

    async def look(self) -> Collection[str]:
        """Which of the topics are there. Raises WrongPartitions, and ConnectionError where Kafka does not answer."""
        found = self.flaws
        try:
            there = (await self.topics_now()).topics
            missing = [f"Topic {each.name} is missing: run the migration." for each in self._topics if each.name not in there]
            missing += lacking(self._kafka, self._needed, there) + (await self._log_end.barred(self._group) if self._group else [])
            replicas = {name: topic.replicas for name, topic in there.items()}
            told = [each for each in self._topics if each.name in there and _told(there[each.name])]
            found = missing + (await flaws(self._kafka, told, replicas) if told else [])
            self._tell_of_no_spare(replicas)
            return there.keys()
        except WrongPartitions as error:
            found = [str(error)]
            raise
        finally:
            for each in found:
                if each not in self.flaws:
                    log.error("wrong-setting", service=self._source, detail=each)
            self.flaws = found

    def _tell_of_no_spare(self, replicas: Mapping[str, int]) -> None:
        """Once, and in the log alone: it loses nothing, and who has two brokers may want it so."""
        bare = [each.name for each in self._topics if not Replicas(replicas.get(each.name, 1), each.min_insync).to_spare]
        if bare and self._spare:
            log.warning("no-replica-to-spare", service=self._source, topics=bare, detail="Nothing is sent while one broker is down.")
        self._spare = not bare

    async def run(self) -> None:
        """Look forever."""
        while True:
            try:
                await self.look()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.debug("settings-not-compared", service=self._source, error=safe_message(error))
                await asyncio.sleep(SOON)
                continue
            await asyncio.sleep(SOON if self.flaws else EVERY)


def _told(topic: TopicSeen) -> bool:
    return topic.allowed is None or DESCRIBE_CONFIGS in topic.allowed


def _differs(topic: WantedTopic, counts: Mapping[str, int]) -> bool:
    return counts.get(topic.name, topic.partitions) != topic.partitions


async def flaws(kafka: KafkaClients | str, topics: Sequence[WantedTopic], replicas: Mapping[str, int]) -> list[str]:
    """Settings of these topics that are not what they must be, in sentences. replicas: how many each has. Raises ConnectionError."""
    admin = KafkaClients.of(kafka).admin(request_timeout_ms=4_000)
    found = []
    try:
        async with asyncio.timeout(5):
            await admin.start()
            by_name = {topic.name: topic for topic in topics}
            answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in by_name])
        for answer in answers:
            for code, _, _, name, entries in answer.resources:
                if code:
                    found.append(f"Kafka does not tell the settings of topic {name}: {for_code(code).__name__}.")
                else:
                    settings = {key: value for key, value, *_ in entries}
                    found += _differing(by_name[name], settings) + _in_danger(by_name[name], settings, replicas[name])
    except Exception as error:
        raise ConnectionError(f"Kafka did not say how its topics are set: {type(error).__name__}") from error
    finally:
        await close(admin)
    return sorted(found)


def _differing(topic: WantedTopic, there: Mapping[str, str]) -> list[str]:
    return [
        f"Topic {topic.name} has {name}={there.get(name)} and must have {value}: `kafka-configs.sh --alter` sets it."
        for name, value in topic.settings.items()
        if there.get(name) != value
    ]


def _in_danger(topic: WantedTopic, there: Mapping[str, str], replicas: int) -> list[str]:
    """Whether one broker can lose what was acknowledged, or nothing can be. A topic with fewer replicas than min.insync.replicas is worse
    than it looks: Kafka 4 takes the number of replicas instead and acknowledges, older ones refuse every record."""
    has = Replicas(replicas, int(there.get(MIN_INSYNC) or 0))
    if has.factor < topic.min_insync:
        return [
            f"Topic {topic.name} has {has}, and REDRESS_MIN_INSYNC_REPLICAS is {topic.min_insync}: what was acknowledged may be lost with "
            f"one broker. First give it more replicas with `kafka-reassign-partitions.sh`, then set {MIN_INSYNC}={topic.min_insync}. "
            f"Where Kafka has fewer brokers and that may be so, set REDRESS_MIN_INSYNC_REPLICAS={has.factor}."
        ]
    if not has.possible:
        return [
            f"Topic {topic.name} has {has}, so Kafka may take no record: `kafka-configs.sh --alter --add-config "
            f"{MIN_INSYNC}={topic.min_insync}` sets it right, or `kafka-reassign-partitions.sh` gives it more replicas."
        ]
    if has.min_insync < topic.min_insync:
        return [
            f"Topic {topic.name} has {has}, and REDRESS_MIN_INSYNC_REPLICAS is {topic.min_insync}: what was acknowledged may be lost with "
            f"one broker. `kafka-configs.sh --alter --add-config {MIN_INSYNC}={topic.min_insync}` sets it."
        ]
    return []
