"""What a running stack is: written to `state.json` by whoever starts it, read by `status`, `down` and the other commands."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from redress_local.containers import remove_containers
from redress_local.issuer import Issuer
from redress_local.places import replica_name
from redress_local.processes import ProcessRecord
from redress_spine.messaging.mac import MacKeys

FILE = "state.json"
COMPOSE = "compose"  # started and stopped by Docker Compose; the state file only says where it is


class NotRunning(Exception):
    """There is no state file where one was looked for."""


@dataclass
class Stack:
    """A stack as its state file tells it. Processes stand in the order in which they were started."""

    folder: str
    servers: str  # given, docker, local or compose
    kafka: str
    postgres: str
    partitions: int
    urls: dict[str, str]  # by service, of its first replica
    logs: dict[str, str]  # by process
    databases: dict[str, dict[str, str]]  # by service: name, owner_dsn, app_dsn
    issuer: dict[str, str]  # issuer, audience, jwks, master_key, mac_keys, folder
    processes: list[ProcessRecord]
    containers: list[str] = field(default_factory=list)
    clock_file: str | None = None  # of its stepping clock; None where the wall clock is used
    further_urls: dict[str, list[str]] = field(default_factory=dict)  # by service, of its further replicas
    replicas: int = 1  # of each service
    settle_seconds: float = 2.0
    log_level: str = "INFO"

    @property
    def all_urls(self) -> dict[str, str]:
        """The address of every replica, by its process's name: `intake`, `intake-2`."""
        return {
            replica_name(service, n): url
            for service, first in self.urls.items()
            for n, url in enumerate([first, *self.further_urls.get(service, ())], start=1)
        }

    @property
    def pids(self) -> dict[str, int]:
        return {each.name: each.pid for each in self.processes}

    @property
    def running(self) -> list[str]:
        """The names of its processes that are still alive."""
        return [each.name for each in self.processes if each.process() is not None]

    def moved(self, postgres: Mapping[str, str], kafka: str | None = None) -> Stack:
        """The same stack with its databases on other servers, by service as `host:port`, and its Kafka at another address, if one is given.
        Roles, passwords and names stay."""
        databases = {
            service: each | {name: _at(each[name], postgres[service]) for name in ("owner_dsn", "app_dsn") if service in postgres}
            for service, each in self.databases.items()
        }
        return replace(self, databases=databases, kafka=kafka or self.kafka)

    def mac_keys(self) -> MacKeys:
        """By which its records prove their source. Raises MacKeysUnusable."""
        return MacKeys.read(Path(self.issuer["mac_keys"]))

    def token_issuer(self) -> Issuer:
        return Issuer(Path(self.issuer["folder"]))

    def write(self) -> Path:
        """Write the state file; it holds passwords of the local databases, so only its owner may read it."""
        file = Path(self.folder) / FILE
        draft = file.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(self), out, indent=2)
        draft.replace(file)
        return file

    def stop(self) -> None:
        """Stop its processes in reverse order, if they are still the same, and forget them."""
        for each in reversed(self.processes):
            each.stop()
        if self.containers:
            remove_containers(self.containers)
        (Path(self.folder) / FILE).unlink(missing_ok=True)


def _at(dsn: str, address: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{address}"))


def read_stack(folder: Path) -> Stack:
    """Read the state file in `folder`. Raises NotRunning."""
    try:
        raw = json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        raise NotRunning(f"No stack was started in {folder}.") from None
    raw["processes"] = [ProcessRecord(**each) for each in raw["processes"]]
    return Stack(**raw)
