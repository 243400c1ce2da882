"""Settings that must equal reality are compared with it: what would reach nobody is not taken, and what deletes facts is told."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from spine_stack import Stack, asked, engine_of, eventually, registered

from redress_events import reality, topics
from redress_events.engine import Engine
from redress_events.errors import Unavailable, WrongPartitions
from redress_events.facts import CLOSED, LIFECYCLE
from redress_events.migrate import migrate

NOWHERE = "127.0.0.1:9"


async def register(engine: Engine) -> str:
    return (await engine.create("complaint", lambda context: [registered()], asked(uuid.uuid4().hex)))[0].subject


async def with_partitions(stack: Stack, partitions: int, kafka: str | None = None, prefix: str | None = None) -> Engine:
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
async def test_a_journal_numbered_for_four_partitions_is_not_served_with_two(stack: Stack, kafka: str | None) -> None:
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
    how = partial(migrate, owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=tmp_path, fold=1)
    await how(partitions=2)
    with pytest.raises(WrongPartitions):
        await stack.engine("intake")
    await how(partitions=4)
    await register(await stack.engine("intake"))


async def test_a_journal_with_facts_is_never_numbered_anew(stack: Stack, tmp_path: Path) -> None:
    intake = await stack.engine("intake")
    await register(intake)
    await stack.stop(intake)
    made = await stack.database("intake")
    how = partial(migrate, owner_dsn=made.owner_dsn, app_role=made.app_role, service_migrations_dir=tmp_path, fold=1)
    with pytest.raises(WrongPartitions):
        await how(partitions=6)
    await how(partitions=4)


async def test_a_topic_whose_partitions_were_raised_takes_commands_from_nobody(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reality, "EVERY", 0.2)
    intake = await stack.engine("intake")
    await register(intake)

    async def sent() -> bool:
        return (await intake.measures()).backlog_facts == 0

    await eventually(sent)
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
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
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
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


async def test_fewer_replicas_in_sync_than_the_setting_asks_for_are_told(stack: Stack) -> None:
    found = await reality.flaws(stack.kafka, topics.wanted(4, min_insync=2, prefix=stack.prefix))
    assert len(found) == 3
    assert all("min.insync.replicas=1, and REDRESS_MIN_INSYNC_REPLICAS is 2" in each for each in found)
