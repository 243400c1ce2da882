"""The real servers: they start, survive SIGKILL with all they had, and two of each live side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka.admin import NewTopic

from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.processes import StartFailed
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store import connections


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


async def write(postgres: Postgres, word: str) -> None:
    connection = await connections.connect(postgres.admin_dsn)
    await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
    await connection.execute("INSERT INTO words VALUES ($1)", word)
    await connection.close()


async def words(postgres: Postgres) -> list[str]:
    connection = await connections.connect(postgres.admin_dsn)
    rows = await connection.fetch("SELECT word FROM words")
    await connection.close()
    return [row["word"] for row in rows]


async def make_topic(kafka: Kafka) -> None:
    admin = KafkaClients.of(kafka.address).admin()
    await admin.start()
    await admin.create_topics([NewTopic("words", 3, 1)])
    await admin.close()


async def send(kafka: Kafka, word: str) -> None:
    async with KafkaClients.of(kafka.address).producer(acks="all") as producer:
        await producer.send_and_wait("words", word.encode(), key=b"k")


async def read(kafka: Kafka) -> list[str]:
    async with KafkaClients.of(kafka.address).consumer("words", auto_offset_reset="earliest") as consumer:
        batches = await consumer.getmany(timeout_ms=5000)
        return [record.value.decode() for records in batches.values() for record in records]


async def test_postgres_killed_and_started_again_has_the_data_on_the_same_port(folder):
    postgres = Postgres(folder)
    postgres.start()
    try:
        await write(postgres, "before")
        address = postgres.admin_dsn
        postgres.kill()
        postgres.start()
        assert postgres.admin_dsn == address
        assert await words(postgres) == ["before"]
    finally:
        postgres.stop()


def test_postgres_refuses_a_second_server_on_its_data(folder):
    postgres = Postgres(folder)
    postgres.start()
    try:
        with pytest.raises(StartFailed, match="already running"):
            Postgres(folder).start()
    finally:
        postgres.stop()


async def test_a_wrong_password_is_refused(folder):
    postgres = Postgres(folder)
    postgres.start()
    try:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connections.connect(f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}/postgres")
    finally:
        postgres.stop()


async def test_kafka_killed_and_started_again_has_the_records_on_the_same_port(folder):
    kafka = Kafka(folder)
    kafka.start()
    try:
        await make_topic(kafka)
        await send(kafka, "before")
        address = kafka.address
        kafka.kill()
        kafka.start()
        assert kafka.address == address
        await send(kafka, "after")  # at once: whoever says it is up must take records
        assert await read(kafka) == ["before", "after"]
        kafka.restart()
        assert await read(kafka) == ["before", "after"]
    finally:
        kafka.stop()


async def test_two_of_each_live_side_by_side(folder):
    one, two = Kafka(folder / "one"), Kafka(folder / "two")
    first, second = Postgres(folder / "first"), Postgres(folder / "second")
    everything = (one, two, first, second)
    try:
        for each in everything:
            each.launch()
        for each in everything:
            each.wait_ready()
        await asyncio.gather(make_topic(one), make_topic(two), write(first, "1"), write(second, "2"))
        await send(one, "1")
        await send(two, "2")
        assert await read(one) == ["1"]
        assert await read(two) == ["2"]
        assert await words(first) == ["1"]
        assert await words(second) == ["2"]
    finally:
        for each in everything:
            each.stop()


def test_kafka_that_cannot_start_shows_the_end_of_its_log(folder):
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n")
    with pytest.raises(StartFailed, match=r"ended at its start(?s:.*)Stored node id 7"):
        Kafka(folder).start()


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux'")
def test_servers_die_with_a_parent_that_is_killed_hard(folder):
    program = f"""
import time
from pathlib import Path
from redress_local.postgres import Postgres
postgres = Postgres(Path({str(folder)!r}))
postgres.start()
print(postgres.child.popen.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 60
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "PostgreSQL outlived its parent"
        time.sleep(0.05)
