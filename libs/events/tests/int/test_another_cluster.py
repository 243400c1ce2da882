"""A journal that was restored elsewhere takes no command, and a Kafka that was replaced is noticed without a restart."""

from __future__ import annotations

import asyncpg
import pytest
from spine_stack import Stack, eventually

from redress_events.engine import JournalRestored
from redress_events.log_end import LogEnd

OURS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'redress-intake-%'"


async def test_a_restored_journal_takes_no_command_and_no_try_to_start_leaves_a_connection_behind(stack: Stack) -> None:
    owner = await stack.connect("intake", owner=True)
    await owner.execute("UPDATE birthplace SET timeline = timeline + 1")
    engine = await stack.engine("intake", start=False)
    for _ in range(3):  # a service tries each second, until somebody adopts the journal
        with pytest.raises(JournalRestored):
            await engine.start()
        await engine.stop()
    await eventually(lambda: nobody(owner))
    await owner.close()


async def nobody(owner: asyncpg.Connection) -> bool:
    return bool(await owner.fetchval(OURS) == 0)


async def test_after_an_outage_kafka_is_asked_again_which_cluster_it_is(kafka_address: str) -> None:
    log_end = LogEnd("intake", kafka_address)
    log_end._cluster = "the one before the outage"
    assert await log_end.cluster() == "the one before the outage"
    log_end.lost()
    assert await log_end.cluster() != "the one before the outage"
