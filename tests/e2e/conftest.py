"""Two running systems: one that nothing is done to, and one whose processes and servers are killed. One runs at a time, for a
system that nobody uses slows those that are tested; a module uses one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from live import Live

from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.pytest_plugin import a_system

HERE = Path(__file__).parent
QUICK_POLICY = HERE / "quick-policy.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
    # Those that share a system come one after the other, behind those that have one of their own: each is started once.
    first = items.index(ours[0]) if ours else 0
    ours.sort(key=lambda item: [name in item.fixturenames for name in ("shaken", "live")])  # type: ignore[attr-defined]
    others = [item for item in items if HERE not in item.path.parents]
    items[:] = [*others[:first], *ours, *others[first:]]


class Running:
    """The system that runs now, for as long as the same one is asked for."""

    def __init__(self) -> None:
        self._name = ""
        self._live: Live
        self._started = ExitStack()

    def live(self, name: str, **options: object) -> Live:
        if self._name != name:
            self.stop()
            self._live = self._started.enter_context(closing(Live(self._started.enter_context(a_system(**options)))))
            self._name = name
        return self._live

    def stop(self) -> None:
        self._name = ""
        self._started.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def live(running: Running) -> Live:
    """For all tests that leave the system as they found it, but for more complaints."""
    return running.live("live", settle_seconds=1.0, environment={"REDRESS_TRUSTED_PROXIES": "127.0.0.1"})


@pytest.fixture(scope="module")
def shaken(running: Running) -> Live:
    """For tests that kill or stop something; each starts it again. Consultations are due in seconds here, all else as usual."""
    return running.live("shaken", settle_seconds=5.0, environment={"REDRESS_POLICY": str(QUICK_POLICY)})


@pytest.fixture
def kafka(shaken: Live) -> Iterator[Kafka]:
    server = shaken.system.servers.kafka_server
    if server is None:
        pytest.skip("only a local Kafka can be killed")
    shaken.idle()
    yield server
    if server.child is None:
        server.start()


@pytest.fixture
def postgres(shaken: Live) -> Iterator[Postgres]:
    server = shaken.system.servers.postgres_server
    if server is None:
        pytest.skip("only a local PostgreSQL can be killed")
    shaken.idle()
    yield server
    if server.child is None:
        server.start()
