"""A PostgreSQL of a test's own, which it may kill, promote or restore, and a stack on it whose Kafka is the session's."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from spine_stack import Stack

from redress_local.copies import archived, archiving, backup, restored, standby
from redress_local.postgres import PROGRAMS, Postgres
from redress_local.provision import Databases, provision


@contextmanager
def servers_folder() -> Iterator[tuple[Path, list[Postgres]]]:
    """A folder for servers, and a list of those that are stopped with it."""
    folder = Path(tempfile.mkdtemp(prefix="redress-test-"))  # not pytest's own: the server's user must pass through it
    started: list[Postgres] = []
    try:
        yield folder, started
    finally:
        for each in started:
            each.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Archive:
    """A primary whose log is archived, with the base backup that it was restored from."""

    folder: Path
    started: list[Postgres]
    primary: Postgres
    base: Path

    def mark(self, name: str) -> None:
        """A point in time to come back to."""
        self.primary.sql(f"SELECT pg_create_restore_point('{name}')")

    def back_to(self, name: str) -> Postgres:
        """The primary is killed, and a server restored to this point takes its place."""
        archived(self.primary)
        self.primary.kill()
        copy = restored(self.primary, self.base, self.folder / name, self.folder / "archive", name=name)
        self.started.append(copy)
        return copy

    def put_aside(self) -> None:
        """A copy of its files, made while it stands still."""
        self.primary.stop()
        subprocess.run(["cp", "--archive", self.primary.data, self.folder / "aside"], check=True)
        self.primary.start()

    def put_back(self) -> None:
        """It is killed, and goes on from that copy: the same cluster, and the same timeline."""
        self.primary.kill()
        shutil.rmtree(self.primary.data)
        (self.folder / "aside").rename(self.primary.data)
        self.primary.start()

    def dump(self, made: Databases) -> str:
        """One database as pg_dump writes it."""
        line: list[str | Path] = [PROGRAMS / "pg_dump", "--dbname", made.owner_dsn]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout


@cache
def fresh_cluster() -> Path:
    """The folder of a cluster with nothing in it, made by initdb once, for the length of this process."""
    folder = Path(tempfile.mkdtemp(prefix="redress-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Postgres(folder / "fresh")
    made.start()
    made.stop()
    (made.folder / "port").unlink()
    return made.folder


def primary_in(folder: Path, settings: Mapping[str, str] | None = None) -> Postgres:
    """A server that is not started. All that are made so have one system identifier: none is a stranger to another by that."""
    subprocess.run(["cp", "--archive", fresh_cluster(), folder], check=True)
    return Postgres(folder, settings=settings)


@contextmanager
def archive() -> Iterator[Archive]:
    with servers_folder() as (folder, started):
        primary = primary_in(folder / "primary", archiving(folder / "archive"))
        started.append(primary)
        primary.start()
        yield Archive(folder, started, primary, backup(primary, folder / "base"))


@contextmanager
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    """A primary and its streaming standby."""
    with servers_folder() as (folder, started):
        primary = primary_in(folder / "primary")
        started.append(primary)
        primary.start()
        started.append(standby(primary, folder / "standby"))
        yield started[0], started[1]


def stack_on(postgres: Postgres, kafka: str) -> Stack:
    """Databases on this server, topics of its own on the given Kafka (they are made by whoever calls)."""

    async def make(service: str) -> Databases:
        return await provision(postgres.admin_dsn, service, database=f"test_{service.replace('-', '_')}_{uuid.uuid4().hex[:8]}")

    return Stack(kafka, make)


async def filled(server: Postgres, of: Databases, dumped: str) -> Databases:
    """A database of this name and with these roles on a new server, filled from a dump."""
    made = await provision(server.admin_dsn, of.name, database=of.name)
    line: list[str | Path] = [PROGRAMS / "psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "--dbname", made.owner_dsn]
    await asyncio.to_thread(lambda: subprocess.run(line, input=dumped, capture_output=True, text=True, check=True))
    return made


def moved(databases: Databases, postgres: Postgres) -> Databases:
    """The same database on another server: its roles have the passwords they had."""
    return replace(databases, owner_dsn=_at(databases.owner_dsn, postgres), app_dsn=_at(databases.app_dsn, postgres))


def on_either(databases: Databases, *servers: Postgres) -> Databases:
    """Wherever it can be written: on the first of these servers that is no standby."""
    parts = urlsplit(databases.app_dsn)
    user = parts.netloc.rpartition("@")[0]
    netloc = f"{user}@{','.join(f'127.0.0.1:{each.port}' for each in servers)}"
    return replace(databases, app_dsn=urlunsplit((parts.scheme, netloc, parts.path, "target_session_attrs=read-write", "")))


def _at(dsn: str, postgres: Postgres) -> str:
    parts = urlsplit(dsn)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{postgres.port}"))
