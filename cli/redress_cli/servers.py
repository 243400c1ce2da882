"""Whether Kafka and PostgreSQL answer from here, and after how long: asked directly, for services may be away as well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import asyncpg
import typer
from aiokafka.errors import KafkaError

from redress_cli.installation import Installation
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.relay import close
from redress_spine.processing.clock import monotonic
from redress_spine.store import connections

KAFKA, POSTGRESQL = "kafka", "postgresql"  # as services call them
AWAY = (OSError, KafkaError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@dataclass(frozen=True)
class ServerStatus:
    """Kafka, or one PostgreSQL. up: None where nobody could say. seconds: what its answer took, here where it was asked from here, else the
    longest of the services'. services: those that work with it. unreached: replicas that say that they do not reach it. detail: why it is
    not up from here."""

    server: str
    address: str | None
    up: bool | None = None
    seconds: float | None = None
    services: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    detail: str = ""


def known_servers(where: Installation) -> list[tuple[ServerStatus, Callable[[], Awaitable[None]] | None]]:
    """What an installation tells of, each with how it is asked; without, where no address of one is told."""
    found: list[tuple[ServerStatus, Callable[[], Awaitable[None]] | None]] = []
    try:
        kafka = where.reach_kafka()
    except typer.Exit:  # it was said what is wrong with how it is told
        kafka = None
    ask_kafka = None if kafka is None else lambda: _kafka_answers(kafka)
    found.append((ServerStatus(KAFKA, None if kafka is None else kafka.bootstrap, services=list(where.urls)), ask_kafka))
    databases: dict[str, list[str]] = {}
    for service, each in where.databases.items():
        if each.app:
            databases.setdefault(_address(each.app), []).append(service)
    for address, services in databases.items():
        dsn = where.databases[services[0]].app
        assert dsn is not None, "It was found by its address."
        found.append((ServerStatus(POSTGRESQL, address, services=services), lambda dsn=dsn: _database_answers(dsn)))  # type: ignore[misc]  # bound now
    if untold := [service for service in where.urls if not any(service in each for each in databases.values())]:
        found.append((ServerStatus(POSTGRESQL, None, services=untold), None))
    return found


async def asked(server: ServerStatus, ask: Callable[[], Awaitable[None]] | None, within: float) -> ServerStatus:
    """How it answers from here."""
    if ask is None:
        return server
    began = monotonic()
    try:
        async with asyncio.timeout(within):
            await ask()
    except AWAY as error:
        return replace(server, up=False, detail="no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    return replace(server, up=True, seconds=monotonic() - began)


def with_what_services_say(server: ServerStatus, said: dict[str, dict[str, dict[str, object]]]) -> ServerStatus:
    """said: by replica what it says of each server, by the server's name."""
    of_it = {name: seen[server.server] for name, seen in said.items() if server.server in seen and _service(name) in server.services}
    unreached = [name for name, seen in of_it.items() if seen.get("up") is False]
    took = [seconds for seen in of_it.values() if isinstance(seconds := seen.get("seconds"), int | float)]
    up = server.up if server.up is not None else (len(unreached) < len(of_it)) if of_it else None
    seconds = server.seconds if server.seconds is not None else max(took, default=None) if up else None
    return replace(server, up=up, seconds=seconds, unreached=unreached)


def _service(replica: str) -> str:
    name, _, number = replica.rpartition("-")
    return name if number.isdecimal() and name else replica


def _address(dsn: str) -> str:
    """Where a server is; nothing else of an address may be shown."""
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["this machine"])[-1]


async def _kafka_answers(kafka: KafkaClients) -> None:
    client = kafka.client(request_timeout_ms=1_500)
    try:
        await client.bootstrap()
    finally:
        closing = asyncio.create_task(close(client))
        await asyncio.wait({closing}, timeout=0.1)


async def _database_answers(dsn: str) -> None:
    connection = await connections.connect(dsn, "status")
    try:
        await connection.fetchval("SELECT 1")
    finally:
        connection.terminate()
