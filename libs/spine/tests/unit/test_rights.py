"""What a user of Kafka must be allowed to do, and how it is said which of that is missing; and what of a migration's file is run."""

from __future__ import annotations

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
)

from redress_events.contracts import CALLBACK, CONTRACTS, INTAKE, TRIAGE
from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.kafka_rights import lacking, topic_rights
from redress_spine.messaging.topic_metadata import TopicSeen
from redress_spine.store.migrate import NoMigration, up

KAFKA = KafkaClients("host:9093", security="SASL_SSL", mechanism="PLAIN", username="redress-triage", password="word")


def seen(*allowed: str) -> TopicSeen:
    return TopicSeen("id", 1, {0: 1}, 1, frozenset(allowed))


def test_one_service_makes_keys_and_one_writes_what_is_public():
    writers = {topic: [source for source, each in CONTRACTS.items() if "Write" in topic_rights(each)[topic]] for topic in (KEYS, CLOSED)}
    assert writers == {KEYS: ["intake"], CLOSED: ["callback"]}
    assert all({"Read", "Describe"} <= {*topic_rights(each)[topic]} for each in CONTRACTS.values() for topic in (LIFECYCLE, KEYS))
    assert all("Read" not in topic_rights(each)[CLOSED] for each in (INTAKE, TRIAGE, CALLBACK))


def test_what_is_missing_is_named_by_topic():
    needed = {LIFECYCLE: ("Read", "Write"), KEYS: ("Read",)}
    assert lacking(KAFKA, needed, {LIFECYCLE: seen("Read", "Write", "Describe"), KEYS: seen("Read")}) == []
    assert lacking(KAFKA, needed, {LIFECYCLE: seen("Describe"), KEYS: seen("Read")}) == [
        f"Kafka does not let the user redress-triage Read and Write topic {LIFECYCLE}. See docs/kafka-rights.md."
    ]
    assert lacking(KAFKA, needed, {KEYS: TopicSeen("id", 1, {}, 1, None)}) == [], "a broker that says nothing is believed"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TopicAuthorizationFailedError({"b", "a"}), "all that it must with topic a, b."),
        (TopicAuthorizationFailedError("a"), "all that it must with topic a."),
        (TopicAuthorizationFailedError(), "all that it must with its topic."),
        (GroupAuthorizationFailedError("redress-triage"), "read as a member of group redress-triage."),
        (ClusterAuthorizationFailedError(), "lets the user redress-triage write to no topic."),
    ],
)
def test_an_error_of_the_client_says_which_right_is_missing(error: KafkaError, said: str):
    assert said in str(KAFKA.lacking(error)) and "redress-triage" in str(KAFKA.lacking(error))


@pytest.mark.parametrize("error", [KafkaTimeoutError(), OSError(111, "refused"), ValueError({1, "a"})])
def test_another_error_says_nothing_of_rights(error: Exception):
    assert KAFKA.lacking(error) is None


def test_a_migration_is_what_stands_between_its_marks():
    assert up("-- Why.\n\n-- migrate:up\nCREATE TABLE a ();\n\n-- migrate:down\nDROP TABLE a;\n").strip() == "CREATE TABLE a ();"
    assert up("-- migrate:up\nCREATE TABLE a ();\n").strip() == "CREATE TABLE a ();"
    assert up("-- migrate:up\n-- Nothing yet.\n\n  -- Really.\n-- migrate:down\n") == "", "comments alone are no statement"
    for text in ("CREATE TABLE a ();", "-- migrate:upwards\nCREATE TABLE a ();", ""):
        with pytest.raises(NoMigration):
            up(text)
