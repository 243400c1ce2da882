"""What Kafka tells of a topic and aiokafka 0.14 does not ask for: its id (KIP-516), the leader epochs of its partitions (KIP-320), and what
we may do with it (KIP-430).

A topic that was deleted and made again has the same name and another id. A leader epoch that moved means that somebody else leads, whose
log may end earlier. Metadata version 12 has both; aiokafka speaks up to version 5. Its own classes for requests are what it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

from aiokafka.errors import TopicAuthorizationFailedError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from redress_spine.messaging.kafka_clients import Client

UNKNOWN_TOPIC = 3  # UNKNOWN_TOPIC_OR_PARTITION
# Kafka's operations by the places of their bits, and what stands there where a broker does not say.
OPERATIONS = {3: "Read", 4: "Write", 5: "Create", 6: "Delete", 7: "Alter", 8: "Describe", 10: "DescribeConfigs", 11: "AlterConfigs"}
UNSAID = -(2**31)


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """One topic as it is now. id: as text. partitions: how many. epochs: the leader epoch of each partition that has a leader.
    replicas: how many each partition has at least. allowed: Kafka's names of what we may do with it; None where it does not say."""

    id: str
    partitions: int
    epochs: Mapping[int, int]
    replicas: int
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """Kafka's cluster id, and those of the topics asked for that are there."""

    cluster: str
    topics: Mapping[str, TopicSeen]


async def ask_topics(client: Client, names: Sequence[str]) -> ClusterSeen:
    """Ask any broker. Raises KafkaError where it does not answer, or will not tell of a topic; TopicAuthorizationFailedError names all of
    those that we may not know of."""
    answer = await client.send(client.get_random_node(), TopicMetadata(names))
    topics = {}
    if hidden := [name for error, name, *_ in answer.topics if error == TopicAuthorizationFailedError.errno]:
        raise TopicAuthorizationFailedError(hidden)
    for error, name, topic_id, _, partitions, operations, _ in answer.topics:
        if error and error != UNKNOWN_TOPIC:
            raise for_code(error)(name)
        if not error:
            epochs = {number: epoch for _, number, leader, epoch, *_ in partitions if leader >= 0}
            fewest = min((len(replicas) for _, _, _, _, replicas, *_ in partitions), default=0)
            allowed = None if operations == UNSAID else frozenset(each for bit, each in OPERATIONS.items() if operations >> bit & 1)
            topics[name] = TopicSeen(str(topic_id), len(partitions), epochs, fewest, allowed)
    return ClusterSeen(answer.cluster_id, topics)


class Uuid(AbstractType[UUID]):  # type: ignore[misc]
    """Sixteen bytes."""

    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class MetadataResponse_v12(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names its own
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(("node_id", Int32), ("host", CompactString()), ("port", Int32), ("rack", CompactString()), ("tags", TaggedFields)),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class MetadataRequest_v12(RequestStruct):  # type: ignore[misc]  # noqa: N801
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponse_v12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", Uuid), ("name", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadata(Request[MetadataRequest_v12]):  # type: ignore[misc]
    """Topics by name; none are made by asking."""

    API_KEY = 3

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[MetadataRequest_v12]) -> MetadataRequest_v12:
        return request_struct_class([(UUID(int=0), name, {}) for name in self._names], False, True, {})
