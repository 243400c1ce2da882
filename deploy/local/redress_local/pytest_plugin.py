"""Fixtures that give tests the real Kafka and the real PostgreSQL, once per session, and databases of their own."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from redress_chassis import Service
from redress_local.over_http import OverHttp, over_http
from redress_local.processes import run
from redress_local.provision import Databases, drop, provision
from redress_local.servers import Servers, start_servers
from redress_local.system import System

MakeDatabase = Callable[[str], Awaitable[Databases]]
MakeSystem = Callable[..., System]
Serve = Callable[..., Awaitable[OverHttp]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with servers, outside the folders `unit`, gets a second try: the machine may have been busy. A unit test has none."""
    for item in items:
        if "unit" not in item.path.parts:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why a first try failed is shown whole, for it may be a race of ours."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at the first try: {report.nodeid}", sep="_")
        terminalreporter.write_line(report.longreprtext)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka and PostgreSQL, shared by all tests of the session. A test that kills one starts its own by `redress_local`."""
    folder = _new_folder()
    started = start_servers(folder)
    try:
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_admin(servers: Servers) -> str:
    """The superuser's address."""
    return servers.postgres


@pytest.fixture(scope="session")
def kafka_address(servers: Servers) -> str:
    """The bootstrap address. Topics are shared by the session: give them names of your own."""
    return servers.kafka


@pytest.fixture
def database(postgres_admin: str) -> Iterator[MakeDatabase]:
    """`await database("intake")` makes a fresh, empty database with an owner and an app role, dropped after the test."""
    made: list[Databases] = []

    async def make(service: str) -> Databases:
        name = f"test_{service.replace('-', '_')}_{uuid.uuid4().hex[:8]}"
        made.append(await provision(postgres_admin, service, database=name))
        return made[-1]

    yield make
    for each in made:
        run(drop(postgres_admin, each))


@pytest.fixture
async def serve(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Serve]:
    """`await serve(service, "agent")` runs a service in this process until the test's end, called by agents where nobody else is named.
    databases: of another app, to run beside it; else it has one of its own. policies, and settings by their names, where they differ."""
    async with AsyncExitStack() as running:

        async def start(service: Service, usual: str, *, databases: Databases | None = None, **other: Any) -> OverHttp:
            databases = databases or await database(service.name)
            return await running.enter_async_context(over_http(service, usual, tmp_path, databases, **other))

        yield start


@pytest.fixture(scope="module")
def module_database(postgres_admin: str) -> Iterator[Callable[[str], Databases]]:
    """The same for a whole module, and called without await."""
    made: list[Databases] = []

    def make(service: str) -> Databases:
        name = f"test_{service.replace('-', '_')}_{uuid.uuid4().hex[:8]}"
        made.append(run(provision(postgres_admin, service, database=name)))
        return made[-1]

    yield make
    for each in made:
        run(drop(postgres_admin, each))


@pytest.fixture(scope="module")
def system() -> Iterator[MakeSystem]:
    """`system(services=…)` starts a whole system with servers of its own, stopped at the module's end."""
    with ExitStack() as made:
        yield lambda **options: made.enter_context(a_system(**options))


@contextmanager
def a_system(**options: object) -> Iterator[System]:
    """A whole system with servers and a folder of its own, for the length of a block."""
    folder = _new_folder()
    try:
        with System(folder, **options) as started:  # type: ignore[arg-type]
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_folder() -> Path:
    """Not pytest's own: PostgreSQL, under another user, must pass through it, and pytest closes its folder again for others."""
    return Path(tempfile.mkdtemp(prefix="redress-test-"))
