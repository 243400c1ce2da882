"""Reads services.toml: the one list of services."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "services.toml"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")  # `intake-2` is a replica
TAKEN = frozenset({"gateway", "kafka", "postgres", "setup"})  # they run beside the services


class BadManifest(Exception):
    """services.toml says something that cannot be; the message names it."""


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One service. Its fields are explained in services.toml."""

    name: str
    package: str
    port: int
    database: str
    contract: str
    listens_to: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Mapping[str, Any], ...] = ()

    @property
    def constant(self) -> str:
        """Under which its contract stands in its module: `SLA_MONITOR`."""
        return self.name.upper().replace("-", "_")


def read_services(root: Path) -> tuple[ServiceEntry, ...]:
    """All services in their order. root: of the repository. Raises BadManifest."""
    return parsed((root / FILE).read_text("utf-8"))


def parsed(text: str) -> tuple[ServiceEntry, ...]:
    """The services of a file of this text. Raises BadManifest."""
    tables = tomllib.loads(text)["service"]
    services = tuple(_entry(table) for table in tables)
    names = {each.name for each in services}
    for what in ("name", "port", "database", "contract"):
        values = [getattr(each, what) for each in services]
        if twice := sorted({str(value) for value in values if values.count(value) > 1}):
            raise BadManifest(f"{FILE}: two services have the {what} {twice[0]}.")
    for each in services:
        if unknown := sorted({*each.listens_to} - (names - {each.name})):
            raise BadManifest(f"{FILE}: {each.name} listens to {unknown[0]}, which is not another service.")
    return services


def _entry(table: dict[str, Any]) -> ServiceEntry:
    name, more = str(table.get("name")), {"environment", "volumes"}
    fields = {each.name for each in dataclasses.fields(ServiceEntry)}
    if wrong := sorted((fields ^ table.keys()) - more):
        raise BadManifest(f"{FILE}: {name} has, or lacks, {wrong[0]}. Its fields are {', '.join(sorted(fields - more))}.")
    if not NAME.fullmatch(name) or name in TAKEN:
        taken = ", ".join(sorted(TAKEN))
        raise BadManifest(f"{FILE}: {name!r} is not a name for a service: use lower-case words with hyphens between, none of {taken}.")
    if not isinstance(table["port"], int):
        raise BadManifest(f"{FILE}: the port of {name} is a number.")
    entry = ServiceEntry(**table | {key: tuple(table.get(key, ())) for key in ("listens_to", "volumes")})
    if entry.package != (wanted := "redress_" + name.replace("-", "_")):
        raise BadManifest(f"{FILE}: the package of {name} must be {wanted}, for its image starts it by its name.")
    return entry
