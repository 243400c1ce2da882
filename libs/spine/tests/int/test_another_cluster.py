"""A Kafka that was replaced is noticed without a restart. (PostgreSQL: test_failover.py.)"""

from __future__ import annotations

from redress_spine.messaging.log_end import LogEnd


async def test_after_an_outage_kafka_is_asked_again_which_cluster_it_is(kafka_address: str) -> None:
    log_end = LogEnd("intake", kafka_address)
    log_end._cluster = "the one before the outage"
    assert await log_end.cluster() == "the one before the outage"
    log_end.lost()
    assert await log_end.cluster() != "the one before the outage"
