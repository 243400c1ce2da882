"""Harm that a test or the soak does to a running system, with the way to undo it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from live import Live, eventually

from redress_local.kafka import Kafka
from redress_local.processes import run
from redress_spine.store import connections

LEADERSHIP = "hashtext('redress-relay')"


@contextmanager
def no_database(live: Live, service: str) -> Iterator[None]:
    """One service's database takes no connections for the length of a block, and ends those that it has; the others' go on beside it."""
    let_in(live, service, False)
    try:
        yield
    finally:
        let_in(live, service, True)


def let_in(live: Live, service: str, yes: bool) -> None:
    """Whether a service's database takes connections; with False those that there are end."""
    name = live.system.databases[service].name
    _as_superuser(live, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {yes}')
    if not yes:
        _as_superuser(live, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)


@contextmanager
def relay_held_back(live: Live, service: str) -> Iterator[None]:
    """What a service decides stays in its journal for the length of a block: somebody else leads its relay, and ships nothing."""

    def taken() -> bool:
        _as_superuser(
            live, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", f"redress-{service}-relay"
        )
        return bool(live.sql(service, f"SELECT pg_try_advisory_lock({LEADERSHIP})")[0][0])

    eventually(taken, f"the relay of {service} is led by the test")
    try:
        yield
    finally:
        live.sql(service, f"SELECT pg_advisory_unlock({LEADERSHIP})")


@contextmanager
def paused(live: Live, name: str) -> Iterator[None]:
    """One process stands still (SIGSTOP) for the length of a block, and wakes believing that no time has passed."""
    process = live.system.children[name].popen
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def lose_log(kafka: Kafka) -> None:
    """The broker is killed and comes back with nothing, as another cluster."""
    kafka.kill()
    shutil.rmtree(kafka.data)
    kafka.start()


def _as_superuser(live: Live, statement: str, *values: Any) -> None:
    async def execute() -> None:
        connection = await connections.connect(live.system.servers.postgres)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    run(execute())
