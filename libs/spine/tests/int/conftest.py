"""The stack of the spine's tests: topics of its own on the session's Kafka, databases of its own; and a Kafka that a test may harm."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from spine_stack import Stack

from redress_local.kafka import Kafka
from redress_spine.messaging import topics


@pytest.fixture
async def stack(kafka_address: str, database: Any) -> AsyncIterator[Stack]:
    made = Stack(kafka_address, database)
    await topics.ensure(kafka_address, partitions=made.partitions, prefix=made.prefix)
    yield made
    await made.end()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="redress-test-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def modules_kafka() -> Iterator[Kafka]:
    with TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        kafka = Kafka(Path(name) / "kafka")
        yield kafka
        kafka.stop()


@pytest.fixture
def own_kafka(modules_kafka: Kafka) -> Kafka:
    """A broker that no other module uses: a test may kill it and put its data back, and the next one finds it running."""
    if modules_kafka.child is None or not modules_kafka.child.alive:
        modules_kafka.start()
    return modules_kafka


@pytest.fixture
async def two_brokers(folder: Path, own_kafka: Kafka) -> AsyncIterator[Kafka]:
    """A cluster of two."""
    second = Kafka(folder / "second", joins=own_kafka)
    await asyncio.to_thread(second.start)
    yield own_kafka
    await asyncio.to_thread(second.stop)


@pytest.fixture
async def own_stack(own_kafka: Kafka, database: Any) -> AsyncIterator[Stack]:
    """The same on a Kafka of the test's own."""
    made = Stack(own_kafka.address, database)
    await topics.ensure(made.kafka, partitions=made.partitions, prefix=made.prefix)
    yield made
    await made.end()
