"""What each user of Kafka must be allowed to do, and nothing beside it: for ACLs by any means, and for the page that tells it.

Each service has a user of its own. It writes where its events go, reads what all services fold, and reads as its own group alone; intake
writes keys, and nobody else does. Whoever prepares Kafka, looks with the operator's tools or restores a log has another user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from redress_events.contracts import CONTRACTS
from redress_events.vocabulary import EVENT_TOPICS, KEYS
from redress_local.places import SERVICES
from redress_spine.messaging.kafka_rights import DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE, group, topic_rights

CREATE, DELETE = "Create", "Delete"
# Beside the services: by their names, what they do with every topic.
TOOLS = {
    "setup": (CREATE, READ, DESCRIBE, DESCRIBE_CONFIGS),
    "tools": (READ, DESCRIBE, DESCRIBE_CONFIGS),
    "restore": (CREATE, READ, WRITE, DELETE, DESCRIBE, DESCRIBE_CONFIGS),
}
USERS = (*SERVICES, *TOOLS)


@dataclass(frozen=True, slots=True)
class Right:
    """kind, name: of what it is about, by its whole name. operations: as Kafka's tools and Strimzi name them."""

    kind: Literal["topic", "group"]
    name: str
    operations: tuple[str, ...]


def user(name: str) -> str:
    """The user of a service, or of one of the others."""
    return f"redress-{name}"


def kafka_rights(name: str, prefix: str = "") -> list[Right]:
    """Of a service, or of one of the others. prefix: of the topics, where several systems share a Kafka."""
    if name in TOOLS:
        return [Right("topic", prefix + topic, TOOLS[name]) for topic in (*EVENT_TOPICS, KEYS)]
    topics = [Right("topic", prefix + topic, operations) for topic, operations in topic_rights(CONTRACTS[name]).items()]
    return [*topics, Right("group", group(name, prefix), (READ,))]
