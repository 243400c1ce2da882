"""Harm that a test or the soak does to a running system, with the way to undo it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from live import Live

from redress_local.processes import run


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

    async def change() -> None:
        connection = await asyncpg.connect(live.system.servers.postgres)
        try:
            await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {yes}')
            if not yes:
                await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        finally:
            await connection.close()

    run(change())


@contextmanager
def paused(live: Live, name: str) -> Iterator[None]:
    """One process stands still (SIGSTOP) for the length of a block, and wakes believing that no time has passed."""
    process = live.system.children[name].popen
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
