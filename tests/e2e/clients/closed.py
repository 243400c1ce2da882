# mypy: ignore-errors
"""Closed complaints as others read them: by confluent-kafka from the public topic, by the cloudevents SDK out of the envelope, into DuckDB.

The test gives Kafka's address, a group, and the SQL of docs/analytics-recipes.md in JOURNEY, and reads what is printed: the rows.
"""

import json
import os
import time
from pathlib import Path

import duckdb
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured_event
from confluent_kafka import Consumer, KafkaError

TOPIC = "complaints.closed.v1"
given = json.loads(os.environ["JOURNEY"])


def consumer() -> Consumer:
    options = {
        "bootstrap.servers": given["kafka"],
        "group.id": given["group"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,  # else offsets may be committed before their records are written
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
    }
    made = Consumer(options)
    made.subscribe([TOPIC])
    return made


def messages(reading: Consumer):
    """Each record, until every partition was read to its end."""
    ended, end = set(), time.monotonic() + given["within"]
    while len(ended) < given["partitions"]:
        assert time.monotonic() < end, f"only the partitions {sorted(ended)} were read to their end"
        message = reading.poll(1.0)
        if message is None:
            continue
        if message.error() is None:
            yield message
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())


def place(message) -> tuple[int, int]:
    return message.partition(), message.offset()


def record_of(message) -> dict:
    event = from_structured_event(KafkaMessage(headers=dict(message.headers()), key=message.key(), value=message.value()))
    record = event.get_data()
    assert message.key().decode() == event.get_subject() == f"closed/{record['complaint']}"
    assert event.get_type() == "redress.callback.closed-complaint.v1"
    return record


first = consumer()
earliest = next(messages(first))
first.commit(message=earliest, asynchronous=False)
first.close()

second = consumer()  # goes on behind what was committed
rest = list(messages(second))
assert place(earliest) not in map(place, rest)
Path("closed.ndjson").write_text("".join(json.dumps(record_of(each)) + "\n" for each in (earliest, *rest)), "utf-8")
second.commit(asynchronous=False)
second.close()

third = consumer()
assert [place(each) for each in messages(third)] == []
third.close()

with duckdb.connect() as database:
    for statement in given["sql"]:
        answer = database.execute(statement)
    print(json.dumps([dict(zip([column[0] for column in answer.description], row, strict=True)) for row in answer.fetchall()], default=str))
