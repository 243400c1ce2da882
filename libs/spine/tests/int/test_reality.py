"""Settings that must equal reality are compared with it: what would reach nobody is not taken, and what deletes events is told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from spine_stack import Stack, engine_of, eventually, metadata, registered, with_toys

from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_local.kafka import Kafka
from redress_spine.messaging import topics
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.log_end import LogEnd
from redress_spine.messaging.topic_metadata import TopicSeen
from redress_spine.processing import reality
from redress_spine.store.engine import Engine
from redress_spine.store.errors import TopicsNotMade, Unavailable, WrongPartitions
from redress_spine.store.migrate import migrate

NOWHERE = "127.0.0.1:9"


async def register(engine: Engine) -> str:
    return (await engine.create("complaint", lambda context: [registered()], metadata(uuid.uuid4().hex)))[0].subject


async def with_partitions(stack: Stack, partitions: int, kafka: KafkaClients | str | None = None, prefix: str | None = None) -> Engine:
    made = await stack.database("intake")
    return engine_of("intake", made.app_dsn, kafka or stack.kafka, prefix or stack.prefix, partitions)


async def unnumbered(stack: Stack) -> None:
    """A migration that was not told how many partitions there are."""
    owner = await stack.connect("intake", owner=True)
    await owner.execute("DELETE FROM partitioning")
    await owner.close()


async def numbered(stack: Stack) -> int | None:
    owner = await stack.connect("intake", owner=True)
    count: int | None = await owner.fetchval(reality.COUNTED)
    await owner.close()
    return count


@pytest.mark.parametrize("kafka", [None, NOWHERE], ids=["with Kafka", "without Kafka"])
async def test_a_journal_numbered_for_four_partitions_is_not_served_with_two(stack: Stack, kafka: KafkaClients | str | None) -> None:
    intake = await stack.engine("intake")
    await register(intake)
    await stack.stop(intake)
    wrong = await with_partitions(stack, 2, kafka)
    with pytest.raises(WrongPartitions, match=r"numbered for 4 partitions, REDRESS_PARTITIONS is 2: set it to 4"):
        await wrong.start()
    await wrong.stop()
    right = await stack.engine("intake", kafka=kafka)
    await register(right)


async def test_an_empty_journal_is_not_served_with_other_partitions_than_the_topic_has(stack: Stack) -> None:
    await unnumbered(stack)
    wrong = await with_partitions(stack, 2)
    with pytest.raises(WrongPartitions, match="has 4 partitions, and REDRESS_PARTITIONS makes it 2"):
        await wrong.start()
    await wrong.stop()
    await register(await stack.engine("intake"))


@pytest.mark.parametrize("prefix", [None, "nobody."], ids=["Kafka away", "no topic"])
async def test_a_journal_that_nobody_numbered_waits_for_kafka_to_say_how_many_there_are(stack: Stack, prefix: str | None) -> None:
    await unnumbered(stack)
    wrong = await with_partitions(stack, 2, None if prefix else NOWHERE, prefix)
    with pytest.raises(Unavailable, match=r"not numbered for any count of partitions yet, and Kafka does not say"):
        await wrong.start()
    await wrong.stop()
    assert await numbered(stack) is None
    await register(await stack.engine("intake"))
    assert await numbered(stack) == 4


async def test_what_an_empty_journal_was_numbered_for_by_mistake_the_migration_puts_right(stack: Stack, tmp_path: Path) -> None:
    made = await stack.database("intake")
    how = partial(migrate, owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=with_toys(tmp_path), fold=1)
    await how(partitions=2)
    with pytest.raises(WrongPartitions):
        await stack.engine("intake")
    await how(partitions=4)
    await register(await stack.engine("intake"))


async def test_a_journal_with_events_is_never_numbered_anew(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    await register(intake)
    await stack.stop(intake)
    made = await stack.database("intake")
    how = partial(migrate, owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=with_toys(tmp_path), fold=1)
    with pytest.raises(WrongPartitions):
        await how(partitions=6)
    await how(partitions=4)


async def test_a_topic_whose_partitions_were_raised_takes_commands_from_nobody(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reality, "EVERY", 0.2)
    intake = await stack.engine("intake")
    await register(intake)

    async def sent() -> bool:
        return (await intake.measures()).backlog_events == 0

    await eventually(sent)
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    await admin.create_partitions({stack.prefix + LIFECYCLE: NewPartitions(6)})
    await admin.close()

    async def unready() -> bool:
        found = await intake.health()
        return not found.ready and "has 6 partitions" in found.reasons[0]

    await eventually(unready)
    with pytest.raises(WrongPartitions):
        await register(intake)
    with pytest.raises(WrongPartitions):
        await topics.ensure(stack.kafka, partitions=4, prefix=stack.prefix)


async def alter(stack: Stack, topic: str, **settings: str) -> None:
    """As an operator does by mistake: what is not named goes back to the broker's default."""
    admin = KafkaClients.of(stack.kafka).admin()
    await admin.start()
    changed = {name.replace("_", "."): value for name, value in settings.items()}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, stack.prefix + topic, changed)])
    await admin.close()


async def test_a_retention_that_was_set_on_a_topic_is_an_alarm_and_no_reason_to_close_the_door(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reality, "EVERY", 0.2)
    monkeypatch.setattr(reality, "SOON", 0.2)
    intake = await stack.engine("intake")

    async def ready() -> bool:
        found = await intake.health()
        return found.ready and not found.alarms

    await eventually(ready)
    await alter(stack, CLOSED, retention_ms="604800000", cleanup_policy="delete,compact")

    async def alarmed() -> list[str]:
        return sorted((await intake.health()).alarms)

    policy, retention = await eventually(alarmed)
    assert "cleanup.policy=delete,compact" in policy
    assert "retention.ms=604800000 and must have -1" in retention
    assert (await intake.health()).ready
    assert (await intake.measures()).wrong_settings == 2
    await register(intake)
    later = await stack.engine("intake")  # one that was never ready: a release stops here
    assert not (await later.health()).ready
    await alter(stack, CLOSED, retention_ms="-1", cleanup_policy="delete")
    await eventually(ready)


async def flaws(kafka: KafkaClients | str, prefix: str, min_insync: int) -> list[str]:
    """As a service looks that wants so many in sync."""
    asking = LogEnd("test", kafka)
    wanted = topics.wanted(4, min_insync, prefix)

    async def all_seen() -> Mapping[str, TopicSeen] | None:
        seen = (await asking.topics([each.name for each in wanted])).topics
        return seen if len(seen) == len(wanted) else None  # of two brokers one may not have learned of them yet

    seen = await eventually(all_seen)
    await asking.stop()
    return await reality.flaws(kafka, wanted, {name: topic.replicas for name, topic in seen.items()})


async def test_one_replica_is_told_whatever_must_be_in_sync_and_what_is_advised_mends_it(stack: Stack) -> None:
    assert await flaws(stack.kafka, stack.prefix, 1) == []
    found = await flaws(stack.kafka, stack.prefix, 2)
    assert len(found) == 3
    assert all("has 1 replica, 1 of them in sync, and REDRESS_MIN_INSYNC_REPLICAS is 2" in each for each in found)
    assert all("First give it more replicas" in each and "set REDRESS_MIN_INSYNC_REPLICAS=1" in each for each in found)
    for topic in (LIFECYCLE, CLOSED, KEYS):
        await alter(stack, topic, min_insync_replicas="2", **dict(topics.COMPACTED if topic == KEYS else topics.FOREVER))
    found = await flaws(stack.kafka, stack.prefix, 2)  # Kafka acknowledges with the one: it is as little safe as before
    assert len(found) == 3
    assert all("has 1 replica, 2 of them in sync" in each for each in found)
    found = await flaws(stack.kafka, stack.prefix, 1)  # and an older Kafka takes nothing
    assert all("may take no record" in each and "min.insync.replicas=1" in each for each in found)
    assert len(found) == 3


async def test_two_replicas_of_which_one_is_in_sync_are_told_and_what_is_advised_mends_it(two_brokers: Kafka, database: Any) -> None:
    stack = Stack(two_brokers.address, database)
    await topics.ensure(stack.kafka, stack.partitions, topics.Replicas(2, 1), stack.prefix)
    assert await flaws(stack.kafka, stack.prefix, 1) == []
    found = await flaws(stack.kafka, stack.prefix, 2)
    assert len(found) == 3
    assert all("`kafka-configs.sh --alter --add-config min.insync.replicas=2` sets it" in each for each in found)
    for topic in (LIFECYCLE, CLOSED, KEYS):
        await alter(stack, topic, min_insync_replicas="2", **dict(topics.COMPACTED if topic == KEYS else topics.FOREVER))
    assert await flaws(stack.kafka, stack.prefix, 2) == []
    intake = await stack.engine("intake")
    await register(intake)

    async def shipped() -> bool:
        return (await intake.measures()).backlog_events == 0

    await eventually(shipped)
    await stack.stop(intake)


async def test_topics_that_could_not_be_kept_as_often_are_not_made(stack: Stack) -> None:
    for replicas, why in ((topics.Replicas(3, 2), "InvalidReplicationFactor"), (topics.Replicas(1, 2), "There is no topic with 1 replica")):
        with pytest.raises(TopicsNotMade, match=why):
            await topics.ensure(stack.kafka, stack.partitions, replicas, f"other.{stack.prefix}")


@pytest.mark.parametrize(("factor", "told"), [(1, False), (2, True), (3, False)])
def test_that_no_broker_may_be_away_is_said_where_more_than_one_must_be_there(factor: int, told: bool) -> None:
    assert topics.Replicas(factor, min(factor, 2)).to_spare is not told


async def test_topics_are_made_once_every_broker_knows_them(kafka_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    led, asked = topics._led, list[int]()

    async def late(client: Any, broker: int) -> set[str]:
        asked.append(broker)
        return set() if len(asked) < 3 else await led(client, broker)

    async def never(client: Any, broker: int) -> set[str]:
        return set()

    monkeypatch.setattr(topics, "_led", late)
    await topics.ensure(kafka_address, 1, prefix=f"known-{uuid.uuid4().hex[:8]}.")
    assert len(asked) == 3
    monkeypatch.setattr(topics, "_led", never)
    monkeypatch.setattr(topics, "LEARNED", 0.3)
    with pytest.raises(TopicsNotMade, match=r"and broker \d+ does not know them after 0 s: is it healthy\? Then do this again"):
        await topics.ensure(kafka_address, 1, prefix=f"unknown-{uuid.uuid4().hex[:8]}.")
