"""The stack of the spine's tests: topics of its own on the session's Kafka, databases of its own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from spine_stack import Stack

from redress_events import topics


@pytest.fixture
async def stack(kafka_address: str, database: Any) -> AsyncIterator[Stack]:
    made = Stack(kafka_address, database)
    await topics.ensure(kafka_address, partitions=made.partitions, prefix=made.prefix)
    yield made
    for engine in list(made.engines):
        await engine.stop()
