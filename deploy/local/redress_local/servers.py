"""Where Kafka and PostgreSQL come from: addresses given, else containers, else the local ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redress_local.containers import remove_containers, start_containers
from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.processes import ProcessRecord

KAFKA_VARIABLE = "REDRESS_KAFKA_ADDRESS"
POSTGRES_VARIABLE = "REDRESS_POSTGRES_ADMIN_DSN"
NO_DOCKER_VARIABLE = "REDRESS_NO_DOCKER"


@dataclass
class Servers:
    """A Kafka and a PostgreSQL. The local ones can be killed and started again: `kafka_server`, `postgres_server`."""

    kind: str  # given, docker or local
    kafka: str
    postgres: str
    kafka_server: Kafka | None = None
    postgres_server: Postgres | None = None
    containers: list[str] = field(default_factory=list)

    @property
    def processes(self) -> list[ProcessRecord]:
        """The local servers' processes."""
        owned = (self.postgres_server, self.kafka_server)
        return [server.child.record for server in owned if server is not None and server.child is not None]

    def stop(self) -> None:
        """Stop what was started here; what was given stays."""
        if self.kafka_server is not None:
            self.kafka_server.stop()
        if self.postgres_server is not None:
            self.postgres_server.stop()
        if self.containers:
            remove_containers(self.containers)


def start_servers(folder: Path, *, foreground: bool = True, progress: Callable[[str], None] = lambda _: None) -> Servers:
    """Find or start both, with the local ones' data in `folder`.

    1. `REDRESS_KAFKA_ADDRESS` and `REDRESS_POSTGRES_ADMIN_DSN` (a superuser's), if both are set.
    2. Containers, if a Docker engine answers, the images can be had, and `REDRESS_NO_DOCKER` is not set.
    3. The local servers. Raises StartFailed.
    """
    kafka_address, admin_dsn = os.environ.get(KAFKA_VARIABLE), os.environ.get(POSTGRES_VARIABLE)
    if kafka_address and admin_dsn:
        return Servers("given", kafka_address, admin_dsn)
    # Data that the local servers hold would be missed in new containers.
    local_data = (folder / "postgres" / "data").exists()
    if not local_data and not os.environ.get(NO_DOCKER_VARIABLE):
        containers = start_containers(progress, foreground=foreground)
        if containers is not None:
            return Servers("docker", containers.kafka, containers.postgres, containers=containers.ids)
    kafka, postgres = Kafka(folder / "kafka", foreground=foreground), Postgres(folder / "postgres", foreground=foreground)
    try:
        kafka.launch()
        postgres.launch()
        postgres.wait_ready()
        kafka.wait_ready()
    except BaseException:
        kafka.stop()
        postgres.stop()
        raise
    return Servers("local", kafka.address, postgres.admin_dsn, kafka, postgres)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Both servers for the length of a block."""
    started = start_servers(folder)
    try:
        yield started
    finally:
        started.stop()
