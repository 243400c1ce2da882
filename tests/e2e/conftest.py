"""Two running systems: one that nothing is done to, and one whose processes and servers are killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from live import Live

from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.system import System

HERE = Path(__file__).parent
QUICK_POLICY = HERE / "quick-policy.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def live(system: Callable[..., System]) -> Iterator[Live]:
    """For all tests that leave the system as they found it, but for more complaints."""
    with closing(Live(system(settle_seconds=1.0))) as made:
        yield made


@pytest.fixture(scope="session")
def shaken(system: Callable[..., System]) -> Iterator[Live]:
    """For tests that kill or stop something; each starts it again. Consultations are due in seconds here, all else as usual."""
    with closing(Live(system(settle_seconds=5.0, environment={"REDRESS_POLICY": str(QUICK_POLICY)}))) as made:
        yield made


@pytest.fixture
def kafka(shaken: Live) -> Iterator[Kafka]:
    server = shaken.system.servers.kafka_server
    if server is None:
        pytest.skip("only a local Kafka can be killed")
    shaken.quiet()
    yield server
    if server.child is None:
        server.start()


@pytest.fixture
def postgres(shaken: Live) -> Iterator[Postgres]:
    server = shaken.system.servers.postgres_server
    if server is None:
        pytest.skip("only a local PostgreSQL can be killed")
    shaken.quiet()
    yield server
    if server.child is None:
        server.start()
