"""Starts again what had ended of a stack that runs: the same processes on the same data and ports, while the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from redress_local.issuer import Issuer
from redress_local.kafka import Kafka
from redress_local.postgres import Postgres
from redress_local.processes import ProcessRecord, StartFailed
from redress_local.provision import Databases
from redress_local.servers import Servers
from redress_local.state import Stack
from redress_local.system import System

SERVERS: dict[str, type[Kafka] | type[Postgres]] = {"kafka": Kafka, "postgres": Postgres}


def ended(stack: Stack) -> list[str]:
    """The names of its processes that are not there any more."""
    running = set(stack.running)
    return [each.name for each in stack.processes if each.name not in running]


def revive(stack: Stack, names: Sequence[str], progress: Callable[[str], None] = lambda _: None) -> Stack:
    """Start these again, servers first, and wait until each is ready. Raises StartFailed; what had come up by then goes on."""
    started: dict[str, ProcessRecord] = {}
    try:
        for name in (each for each in SERVERS if each in names):
            started[name] = _server(stack, name)
            progress(f"{name} is ready")
        system = _system(stack, progress)
        services = [each for each in system.replicas if each in names]
        for name in services:
            system.start_again(name)
            started[name] = system.children[name].record
        if services:
            system.wait_ready(services)
    finally:
        stack = replace(stack, processes=[started.get(each.name, each) for each in stack.processes])
        stack.write()
    return stack


def _server(stack: Stack, name: str) -> ProcessRecord:
    server = SERVERS[name](Path(stack.folder) / name, foreground=False)
    server.start()
    port = urlsplit(stack.postgres).port if name == "postgres" else int(stack.kafka.rpartition(":")[2])
    if server.port != port:
        server.stop()
        raise StartFailed(f"{name} was at port {port}, which somebody else has now. Restart everything: redress down, then redress up.")
    assert server.child is not None, "It has just been started."
    return server.child.record


def _system(stack: Stack, progress: Callable[[str], None]) -> System:
    """As the one that started the stack was made."""
    clock_file = Path(stack.clock_file) if stack.clock_file else None
    system = System(
        Path(stack.folder),
        services=list(stack.urls),
        replicas=stack.replicas,
        foreground=False,
        settle_seconds=stack.settle_seconds,
        partitions=stack.partitions,
        log_level=stack.log_level,
        clock="stepping" if clock_file else "wall",
        progress=progress,
    )
    databases = {
        service: Databases(each["name"], f"{each['name']}_owner", f"{each['name']}_app", each["owner_dsn"], each["app_dsn"])
        for service, each in stack.databases.items()
    }
    ports = {name: urlsplit(url).port or 0 for name, url in stack.all_urls.items()}
    servers = Servers(stack.servers, stack.kafka, stack.postgres, containers=list(stack.containers))
    system.resume(servers, Issuer(Path(stack.issuer["folder"])), databases, ports, clock_file)
    return system
