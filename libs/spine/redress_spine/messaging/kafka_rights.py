"""Which rights a service must have on its topics and its group, and which of them Kafka says that its user lacks.

The one place where that is said: the ACLs of an installation and the page about them are made from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from redress_events.event import Contract
from redress_events.vocabulary import EVENT_TOPICS, KEYS, LIFECYCLE
from redress_spine.messaging.kafka_clients import RIGHTS, KafkaClients
from redress_spine.messaging.topic_metadata import TopicSeen
from redress_spine.store.vault import MAKER

# Kafka's operations, by the names that its tools and Strimzi give them.
READ, WRITE, DESCRIBE, DESCRIBE_CONFIGS = "Read", "Write", "Describe", "DescribeConfigs"


def topic_rights(contract: Contract) -> dict[str, tuple[str, ...]]:
    """By topic. The ends of all of them are asked for, and how they are kept; the events are read that all services fold, and the keys."""
    written = {event.topic for event in contract.by_type.values()} | ({KEYS} if contract.source == MAKER else set())
    return {
        topic: (
            *([READ] if topic in (LIFECYCLE, KEYS) else []),
            *([WRITE] if topic in written else []),
            DESCRIBE,
            DESCRIBE_CONFIGS,
        )
        for topic in (*EVENT_TOPICS, KEYS)
    }


def group(source: str, prefix: str = "") -> str:
    """The consumer group of a service, which it must be allowed to read."""
    return f"{prefix}redress-{source}"


def lacking(kafka: KafkaClients, needed: Mapping[str, Collection[str]], there: Mapping[str, TopicSeen]) -> list[str]:
    """What Kafka says that we may not do, a message for each topic. A broker that says nothing is believed."""
    found = []
    for name, operations in needed.items():
        allowed = there[name].allowed if name in there else None
        if missing := [each for each in operations if allowed is not None and each not in allowed]:
            found.append(f"Kafka does not let {kafka.who} {' and '.join(missing)} topic {name}. {RIGHTS}")
    return found
