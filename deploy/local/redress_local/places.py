"""Where things are: the repository, its services and its local folder; and which ports are free."""

from __future__ import annotations

import os
import random
import socket
from contextlib import ExitStack
from pathlib import Path

from redress_local.manifest import read_services

ROOT = Path(os.environ.get("REDRESS_HOME") or Path(__file__).resolve().parents[3])
LOCAL = ROOT / ".local"
KAFKA_LIBS = Path(os.environ.get("REDRESS_KAFKA_LIBS") or LOCAL / "kafka" / "libs")
STACK = LOCAL / "stack"

ENTRIES = {each.name: each for each in read_services(ROOT)}
SERVICES = tuple(ENTRIES)


def package(service: str) -> str:
    """The service's Python package: `sla-monitor` → `redress_sla_monitor`."""
    return ENTRIES[service].package


def replica_name(service: str, number: int) -> str:
    """The n-th process of a service, counted from 1: `intake`, `intake-2`."""
    return service if number == 1 else f"{service}-{number}"


def migrations(service: str) -> Path:
    """The service's own migrations."""
    return ROOT / "services" / service / "migrations"


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on.

    They are chosen below the range from which the system takes the ports of outgoing connections. Above it, a client that
    reconnects while a killed server is away may be given that very port, connect to itself, and keep the server from coming back.
    """
    chosen: list[int] = []
    with ExitStack() as held:
        while len(chosen) < count:
            port = random.SystemRandom().randint(15000, _first_outgoing_port() - 1)
            taken = _bind(port)
            if taken is not None:
                held.enter_context(taken)
                chosen.append(port)
    return chosen


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    taken = _bind(port)
    if taken is None:
        return False
    taken.close()
    return True


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        return None
    return listener


def _first_outgoing_port() -> int:
    try:
        return max(16000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    except OSError:
        return 32768
