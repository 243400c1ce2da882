"""What the commands look at: a stack of one's own, an installation that a context names, or the one service that the environment tells."""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from redress_cli.console import fail
from redress_local.places import SERVICES, package
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.store.errors import MasterKeyAway
from redress_spine.store.keyring import Keyring
from redress_spine.store.master_keys import MasterKeys, MasterKeyUnusable, files_of
from redress_spine.store.vault_transit import VaultTransit

AuditedServices = Annotated[list[str] | None, typer.Argument(help=f"One or more of {', '.join(SERVICES)}; all if none is named.")]
ServiceName = Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.")]


@dataclass(frozen=True)
class DatabaseAddress:
    """A service's database: as the service itself, and as the owner of its tables, who rebuilds states. Passwords are in them."""

    app: str | None = field(default=None, repr=False)
    owner: str | None = field(default=None, repr=False)
    app_role: str | None = None


@dataclass(frozen=True)
class Installation:
    """Where the servers and services are, and with which rights they are asked. Its methods end the command where something is not told.

    name: in messages. more: what to do where something is missing; `{option}` and `{variable}` stand for what tells it.
    urls, operations: by service the addresses of its replicas; those for operators may be others. processes: ids of local ones.
    vault: what opens the files of the master keys, if they are sealed.
    token: makes one for a role, a caller and a department, where it can choose. ca_file: certificates that sign the services', beside those
    that the machine trusts. own_certificate: of the one service beside which this runs: its holder is asked, whatever names are in it, and
    nobody else. ours: a stack of this machine, whose keeper is not asked twice.
    """

    name: str
    more: str
    urls: Mapping[str, Sequence[str]]
    operations: Mapping[str, Sequence[str]]
    databases: Mapping[str, DatabaseAddress]
    reach_kafka: Callable[[], KafkaClients | None]
    partitions: int
    master_key_file: Path | None
    vault: Callable[[], VaultTransit | None]
    mac_keys_dir: Path | None
    token: Callable[[str, str, str | None], str]
    ca_file: Path | None = None
    own_certificate: Path | None = None
    ours: bool = False
    processes: Mapping[str, int] = field(default_factory=dict)

    @property
    def services(self) -> list[str]:
        """Those that it knows anything of, in the order of services.toml."""
        return [each for each in SERVICES if each in self.urls or each in self.databases]

    @property
    def has_kafka(self) -> bool:
        return self.reach_kafka() is not None

    def chosen(self, names: Sequence[str] | None) -> list[str]:
        """These services, or all; ends the command where one is none, or is not told here."""
        if not self.services:
            fail(f"{self._sentence} names no service, neither its address nor its database, so there is nothing to look at.")
        for each in names or ():
            if known(each) not in self.services:
                fail(f"{self._sentence} does not name {each}. It names: {', '.join(self.services)}.")
        return list(names or self.services)

    def answering(self) -> list[str]:
        """The services whose address it knows; ends the command where it knows none."""
        return [each for each in self.services if self.urls.get(each)] or self._lacks("no address of a service", "--url https://…", None)

    def kafka(self) -> KafkaClients:
        return self.reach_kafka() or self._lacks("no Kafka", "--kafka HOST:PORT", "REDRESS_KAFKA")

    def replicas(self, service: str, path: str = "") -> list[str]:
        """Addresses of the service, for this path: operators may have a port of their own."""
        where = self.operations if path.startswith(("/ops/", "/metrics")) else self.urls
        return list(where.get(service) or ()) or self._lacks(f"no address of {service}", f"--url {service}=https://…", None)

    def app_dsn(self, service: str) -> str:
        found = self.databases.get(service)
        return (found and found.app) or self._lacks(
            f"no database of {service}", f"--database {service}=postgresql://…", "REDRESS_DATABASE_URL"
        )

    def owner_dsn(self, service: str) -> str:
        """As the owner of the tables."""
        found = self.databases.get(service)
        return (found and found.owner) or self._lacks(
            f"no owner of the database of {service}", f"--owner {service}=postgresql://…", "REDRESS_OWNER_URL"
        )

    def app_role(self, service: str) -> str:
        """The role that a service's database is used as, which a new state is given to."""
        self.app_dsn(service)
        return self.databases[service].app_role or self._lacks(
            f"no user in the database's address of {service}", f"--database {service}=postgresql://USER@…", "REDRESS_DATABASE_URL"
        )

    def master_keys(self) -> Keyring | None:
        """None where they are not told, or cannot be read here. Ends the command where they are not right, or Vault does not open them."""
        file = self.master_key_file
        if file is None or not (files := files_of(file)) or not all(os.access(each, os.R_OK) for each in files.values()):
            return None
        keys = MasterKeys(file, self.vault())
        try:
            asyncio.run(keys.load())
        except (MasterKeyUnusable, MasterKeyAway) as error:
            fail(str(error))
        return keys.ring

    def mac_keys(self) -> MacKeys:
        """The keys by which records prove their source."""
        folder = self.mac_keys_dir or self._lacks(
            "no keys by which records prove their source", "--mac-keys-dir FOLDER", "REDRESS_MAC_KEYS_DIR"
        )
        try:
            return MacKeys.read(folder)
        except MacKeysUnusable as error:
            fail(str(error))

    @property
    def _sentence(self) -> str:
        return self.name[:1].upper() + self.name[1:]

    def _lacks(self, what: str, option: str, variable: str | None) -> NoReturn:
        fail(f"{self._sentence} names {what}. {self.more.format(option=option, variable=variable or 'REDRESS_CONTEXT')}")


def known(service: str) -> str:
    """The name of a service; ends the command where there is none of this name."""
    if service not in SERVICES:
        fail(f"There is no service {service!r}. Services: {', '.join(SERVICES)}.")
    return service


def definition_of(service: str) -> Any:
    """What the service is made of, by its own code; ends the command where that is not installed here."""
    try:
        return importlib.import_module(f"{package(known(service))}.main").service
    except ModuleNotFoundError as error:
        if error.name != package(service):
            raise
        fail(f"The code of {service} is not here. Run this in its own image, or in redress/tools, which has that of all services.")
