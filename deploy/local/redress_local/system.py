"""The whole system on this machine: servers, databases, topics, keys, and one process, or several, for each service.

Long, for what is started here is stopped here, in the opposite order.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import httpx

from redress_local import issuer
from redress_local.issuer import Issuer
from redress_local.places import ENTRIES, SERVICES, free_ports, is_free, package, replica_name
from redress_local.prepare import prepare_database, prepare_topics, told_kafka
from redress_local.processes import Child, StartFailed, run, start_child
from redress_local.provision import Databases
from redress_local.servers import Servers, start_servers
from redress_local.state import FILE, Stack
from redress_spine.messaging.mac import MacKeys

READY_SECONDS = 90.0
PORTS = "ports.json"
ClockKind = Literal["wall", "stepping"]


class System:
    """Everything that `redress up` starts, in `folder`. What was there before (data, keys) is used again.

    Used as a context manager it starts and stops. With `foreground` its processes die with this one, however that ends.
    `environment` goes to every service; `services` may name fewer than all. `clock`: as the folder has it, the wall clock for a new one;
    `at`: where a stepping clock stands at the start, now or where it stood if not given. `replicas`: processes of each service, upon one
    database and in one consumer group; the first has its service's name, the further ones are `intake-2`, `intake-3`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: Sequence[str] = SERVICES,
        replicas: int = 1,
        foreground: bool = True,
        settle_seconds: float = 2.0,
        partitions: int = 12,
        log_level: str = "INFO",
        environment: Mapping[str, str] | None = None,
        clock: ClockKind | None = None,
        at: datetime | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder.resolve()
        self.services = tuple(services)
        self.replicas_each = replicas
        self.replicas = {replica_name(service, n): service for service in self.services for n in range(1, replicas + 1)}
        self.foreground = foreground
        self.settle_seconds = settle_seconds
        self.partitions = partitions
        self.log_level = log_level
        self.environment = dict(environment or {})
        self.clock = clock
        self.at = at
        self.progress = progress
        self.databases: dict[str, Databases] = {}
        self.children: dict[str, Child] = {}
        self._ports: dict[str, int] = {}
        self._clock_file: Path | None = None
        self._servers: Servers | None = None
        self._issuer: Issuer | None = None

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def servers(self) -> Servers:
        assert self._servers is not None, "The system is not started."
        return self._servers

    @property
    def issuer(self) -> Issuer:
        assert self._issuer is not None, "The system is not started."
        return self._issuer

    @property
    def urls(self) -> dict[str, str]:
        """The address of each service's first replica, without a slash at its end."""
        return {service: self._url(service) for service in self.services if service in self._ports}

    @property
    def further_urls(self) -> dict[str, list[str]]:
        """The addresses of each service's further replicas."""
        found: dict[str, list[str]] = {}
        for name, service in self.replicas.items():
            if name != service and name in self._ports:
                found.setdefault(service, []).append(self._url(name))
        return found

    def start(self) -> Stack:
        """Start all and wait until every service is ready. On any failure everything is stopped again. Raises StartFailed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clock_file = self._set_clock()
            self._issuer = Issuer(self.folder / "keys")
            self.progress("Starting Kafka and PostgreSQL")
            self._servers = self.begin_servers()
            if self.services:
                self.progress("Making databases and topics")
                run(self._prepare())
                self._choose_ports()
                self.progress("Starting " + ", ".join(self.services))
                for name in self.replicas:
                    self._launch(name)
                self.wait_ready()
            stack = self.stack()
            stack.write()
        except BaseException:
            self.stop()
            raise
        return stack

    def resume(
        self, servers: Servers, issuer: Issuer, databases: Mapping[str, Databases], ports: Mapping[str, int], clock_file: Path | None
    ) -> None:
        """Be what another process has started, to start single replicas again. Nothing is started or made by that."""
        self._servers, self._issuer = servers, issuer
        self.databases, self._ports, self._clock_file = dict(databases), dict(ports), clock_file

    def start_again(self, name: str) -> None:
        """Start one replica of those that another process has started; who waits for it, and writes the state file, is the caller."""
        self._launch(name)

    def begin_servers(self) -> Servers:
        """Kafka and PostgreSQL; a test may have others. Raises StartFailed."""
        return start_servers(self.folder, foreground=self.foreground, progress=self.progress)

    def stop(self) -> None:
        """Stop the services, then the servers; SIGKILL whatever does not end in time."""
        for child in self.children.values():
            if child.alive:
                child.popen.send_signal(signal.SIGTERM)
        for name in reversed(list(self.children)):
            self.children.pop(name).stop(limit=15.0)
        if self._servers is not None:
            self._servers.stop()
            self._servers = None
        (self.folder / FILE).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """SIGKILL one replica: `intake` is the first of its service, `intake-2` the second."""
        self.children.pop(name).kill()

    def stop_service(self, name: str) -> None:
        """Stop one replica in order."""
        self.children.pop(name).stop()

    def start_service(self, name: str, *, wait: bool = True) -> None:
        """Start one replica again, on the same port and database."""
        self._launch(name)
        if wait:
            self.wait_ready([name])
        self.stack().write()

    def dead(self) -> list[str]:
        """The replicas that ended without being asked to."""
        return [name for name, child in self.children.items() if not child.alive]

    def wait_ready(self, names: Sequence[str] | None = None, limit: float = READY_SECONDS) -> None:
        """Wait until these replicas answer 200 on /health/ready. Raises StartFailed with the end of the log of one that does not."""
        waiting = list(names or self.replicas)
        last: dict[str, str] = {}
        end = time.monotonic() + limit
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while waiting:
                for name in list(waiting):
                    child = self.children[name]
                    if not child.alive:
                        raise child.failed(f"ended at its start (exit code {child.popen.returncode})")
                    with suppress(httpx.TransportError):
                        answer = client.get(self._url(name) + "/health/ready")
                        last[name] = f"{answer.status_code} {answer.text}"  # whole: the cure stands at its end
                        if answer.status_code == 200:
                            waiting.remove(name)
                            self.progress(f"{name} is ready")
                            continue
                    if time.monotonic() > end:
                        raise child.failed(f"was not ready within {limit:.0f} s; its last answer: {last.get(name, 'none')}")
                if waiting:
                    time.sleep(0.1)

    def stack(self) -> Stack:
        """What goes into the state file."""
        return Stack(
            folder=str(self.folder),
            servers=self.servers.kind,
            kafka=self.servers.kafka,
            postgres=self.servers.postgres,
            partitions=self.partitions,
            urls=self.urls,
            further_urls=self.further_urls,
            logs={name: str(self._log(name)) for name in self.replicas},
            databases={
                service: {"name": each.name, "owner_dsn": each.owner_dsn, "app_dsn": each.app_dsn}
                for service, each in self.databases.items()
            },
            issuer={
                "issuer": issuer.ISSUER,
                "audience": issuer.AUDIENCE,
                "folder": str(self.issuer.folder),
                "jwks": str(self.issuer.jwks),
                "master_key": str(self.issuer.master_key),
                "mac_keys": str(self.issuer.mac_keys),
            },
            processes=[*self.servers.processes, *(child.record for child in self.children.values())],
            containers=self.servers.containers,
            clock_file=str(self._clock_file) if self._clock_file else None,
            replicas=self.replicas_each,
            settle_seconds=self.settle_seconds,
            log_level=self.log_level,
        )

    def service_environment(self, service: str) -> dict[str, str]:
        """What one service is told (redress_chassis' settings, prefix REDRESS_)."""
        return {
            "REDRESS_DATABASE_URL": self.databases[service].app_dsn,
            "REDRESS_KAFKA": self.servers.kafka,
            "REDRESS_MASTER_KEY_FILE": str(self.issuer.master_key),
            "REDRESS_MAC_KEYS_DIR": str(self.issuer.mac_keys),
            "REDRESS_JWKS": str(self.issuer.jwks),
            "REDRESS_ISSUER": issuer.ISSUER,
            "REDRESS_AUDIENCE": issuer.AUDIENCE,
            "REDRESS_PROFILE": "local",
            "REDRESS_SETTLE_SECONDS": f"{self.settle_seconds:g}",
            "REDRESS_PARTITIONS": str(self.partitions),
            "REDRESS_LOG_LEVEL": self.log_level,
            "PYTHONUNBUFFERED": "1",
            **({"REDRESS_CLOCK_FILE": str(self._clock_file)} if self._clock_file else {}),
            **self.environment,
            **dict.fromkeys(_of_others(service), ""),  # also where they stand in our own environment
        }

    def _set_clock(self) -> Path | None:
        """The file of the stepping clock, None for the wall clock. A folder's data keep the kind of clock they were made by, for time never
        goes back. Raises StartFailed."""
        file = self.folder / "clock"
        has = "stepping" if file.exists() else "wall" if (self.folder / PORTS).exists() else None
        wanted = self.clock or has or "wall"
        if has not in (None, wanted):
            raise StartFailed(f"The data in {self.folder} were made by a {has} clock: start them with it, or name another folder.")
        if wanted == "wall":
            if self.at:
                raise StartFailed("The wall clock cannot be set: a start time needs the stepping clock.")
            return None
        clocks = importlib.import_module("redress_spine.processing.clock")
        if self.at or has is None:
            try:
                clocks.SteppingClock.make(file, self.at or datetime.now(UTC))
            except clocks.ClockSetBack as error:
                raise StartFailed(str(error)) from error
        return file

    async def _prepare(self) -> None:
        """Databases, migrations and topics, before any service starts."""
        kafka = told_kafka(self.servers.kafka)
        await prepare_topics(kafka, self.partitions, "local")
        passwords = self._passwords()
        for service in self.services:
            self.databases[service] = await prepare_database(
                self.servers.postgres,
                service,
                owner_password=passwords[service]["owner"],
                app_password=passwords[service]["app"],
                kafka=kafka,
                partitions=self.partitions,
                master=self.issuer.master_keys(),
                mac=MacKeys.read(self.issuer.mac_keys),
                progress=self.progress,
            )

    def _url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _launch(self, name: str) -> None:
        service, port = self.replicas[name], self._ports[name]
        line = [sys.executable, "-m", "redress_chassis.serving", f"{package(service)}.main:app", "--port", str(port)]
        self.children[name] = start_child(
            name, line, self._log(name), foreground=self.foreground, environment=self.service_environment(service), folder=self.folder
        )

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _choose_ports(self) -> None:
        """The ports of the last time where they are free, so that addresses stay the same."""
        file = self.folder / PORTS
        known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        fresh = free_ports(len(self.replicas))
        self._ports = {
            name: known[name] if name in known and is_free(known[name]) else new for name, new in zip(self.replicas, fresh, strict=True)
        }
        file.write_text(json.dumps(self._ports))

    def _passwords(self) -> dict[str, dict[str, str]]:
        file = self.folder / "keys" / "passwords.json"
        known: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
        for service in self.services:
            known.setdefault(service, {"owner": secrets.token_urlsafe(24), "app": secrets.token_urlsafe(24)})
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(known, out)
        return known


def _of_others(service: str) -> set[str]:
    """Variables that other services alone read, by services.toml: one that nobody reads ends a service's start."""
    entries = {name: set(entry.environment) for name, entry in ENTRIES.items()}
    return set().union(*entries.values()) - entries.get(service, set())
