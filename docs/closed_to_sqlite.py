"""Keep the record of each closed complaint in a table: python docs/closed_to_sqlite.py FILE. KAFKA says where Kafka is.

A batch is written to the database first, and its offsets are committed to Kafka afterwards. Whoever is killed between the two reads that
batch once more, and nothing is lost. Writing it twice changes nothing: there is one row for each complaint, and a record replaces only an
older revision.
"""

import asyncio
import json
import os
import sqlite3
import sys

from aiokafka import AIOKafkaConsumer
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured_event

TABLES = """
CREATE TABLE IF NOT EXISTS closed (complaint TEXT PRIMARY KEY, revision INTEGER NOT NULL, record TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS cycles AS
SELECT complaint, record ->> 'number' AS number, each.value ->> 'cycle' AS cycle, each.value ->> 'department' AS department,
    each.value ->> 'outcome' AS outcome, each.value ->> 'solved' AS solved, each.value ->> 'satisfaction' AS satisfaction
FROM closed, json_each(record, '$.per_cycle') AS each;
"""
UPSERT = """
INSERT INTO closed (complaint, revision, record) VALUES (?, ?, ?)
ON CONFLICT (complaint) DO UPDATE SET revision = excluded.revision, record = excluded.record WHERE excluded.revision > closed.revision
"""
SHOW = "SELECT number, cycle, outcome, satisfaction FROM cycles ORDER BY number, cycle"


async def keep(database: sqlite3.Connection) -> int:
    """Read what is there, and say how many records that were. A real consumer goes on and waits for more."""
    consumer = AIOKafkaConsumer(
        "complaints.closed.v1",
        bootstrap_servers=os.environ["KAFKA"],
        group_id="reporting",
        auto_offset_reset="earliest",
        enable_auto_commit=False,  # else offsets may be committed before their records are written
    )
    await consumer.start()
    read = 0
    try:
        while polled := await consumer.getmany(timeout_ms=3_000):
            records = [record_of(message) for messages in polled.values() for message in messages]
            with database:  # one transaction
                database.executemany(UPSERT, [(each["complaint"], each["revision"], json.dumps(each)) for each in records])
            await consumer.commit()
            read += len(records)
    finally:
        await consumer.stop()
    return read


def record_of(message):
    event = from_structured_event(KafkaMessage(headers=dict(message.headers), key=message.key, value=message.value))
    return event.get_data()


def main(path: str) -> None:
    database = sqlite3.connect(path)
    database.executescript(TABLES)
    print(asyncio.run(keep(database)), "new")
    for row in database.execute(SHOW):
        print(*row)
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])
