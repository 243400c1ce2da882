"""The stack that `docker compose up` started, told as a state file so that the command line works with it as with any other."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from redress_local import issuer
from redress_local.issuer import Issuer
from redress_local.places import ROOT, SERVICES
from redress_local.provision import addresses
from redress_local.state import COMPOSE, Stack

KEYS = "keys-of-compose"  # beside a local stack's own keys, never over them
COMPOSE_SECONDS = 60


class NoCompose(Exception):
    """Docker Compose, or what it should have started, is not there; the message is Docker's own."""


def read_compose(folder: Path) -> Stack:
    """Fetch the development issuer's keys into `folder` and tell addresses as docker-compose.yml, .env and the environment have them.

    Nothing is asked of the servers. Raises NoCompose.
    """
    services = json.loads(_compose("config", "--format", "json"))["services"]
    keys = folder.resolve() / KEYS
    keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    _compose("cp", "setup:/keys/.", str(keys))
    environment = services["setup"]["environment"]
    host = f"127.0.0.1:{_port(services['postgres'])}"
    admin = environment["REDRESS_POSTGRES_ADMIN_DSN"].replace("@postgres:5432/", f"@{host}/")
    owner, app = environment["REDRESS_OWNER_PASSWORD"], environment["REDRESS_APP_PASSWORD"]
    databases = {service: addresses(admin, service, owner_password=owner, app_password=app) for service in SERVICES}
    signer = Issuer(keys)
    return Stack(
        folder=str(folder.resolve()),
        servers=COMPOSE,
        kafka=f"127.0.0.1:{_port(services['kafka'])}",
        postgres=admin,
        partitions=int(environment.get("REDRESS_PARTITIONS") or 12),
        urls={service: f"http://127.0.0.1:{_port(services[service])}" for service in SERVICES},
        logs={service: f"docker compose logs {service}" for service in SERVICES},
        databases={
            service: {"name": each.name, "owner_dsn": each.owner_dsn, "app_dsn": each.app_dsn} for service, each in databases.items()
        },
        issuer={
            "issuer": issuer.ISSUER,
            "audience": issuer.AUDIENCE,
            "folder": str(signer.folder),
            "jwks": str(signer.jwks),
            "master_key": str(signer.master_key),
            "mac_keys": str(signer.mac_keys),
        },
        processes=[],
    )


def _port(service: dict[str, Any]) -> str:
    """The one port that it publishes."""
    return str(service["ports"][0]["published"])


def _compose(*words: str) -> str:
    line = ["docker", "compose", "--project-directory", str(ROOT), *words]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=COMPOSE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompose(f"docker compose cannot be run: {error}") from error
    if done.returncode != 0:
        raise NoCompose(f"docker compose {words[0]} failed: {done.stderr.strip()}")
    return done.stdout
