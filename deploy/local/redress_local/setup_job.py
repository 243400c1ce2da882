"""The one-off jobs of a start in containers: topics, databases with roles and migrations, the development issuer's keys.

`python -m redress_local.setup_job [topics] [databases] [keys]`, all three if none is named. It may be repeated: what is there stays.
`migrate --service NAME` is for databases that somebody else makes: as the owner, who needs no right beyond that one database.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from redress_chassis import production
from redress_chassis.environment import PREFIX, secret
from redress_chassis.vault_settings import VaultSettings
from redress_local.issuer import Issuer
from redress_local.places import ENTRIES, SERVICES
from redress_local.prepare import migrate_database, prepare_database, prepare_topics, told_kafka
from redress_local.provision import close_to_others
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import NO_KEYS, MacKeys
from redress_spine.messaging.topics import REPLICAS
from redress_spine.store.keyring import Keyring
from redress_spine.store.master_keys import files_of

STEPS = ("topics", "databases", "keys")
MIGRATE = "migrate"


class Missing(Exception):
    """A variable is not set, or wrong."""


def main() -> None:
    """Take the steps, saying each. Exit code 1, and the reason, where one cannot be taken."""
    parser = argparse.ArgumentParser(prog="setup_job", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="step", help=f"{', '.join(STEPS)}; or {MIGRATE} alone")
    parser.add_argument("--service", action="append", choices=SERVICES, help="databases, migrate: of this service alone; may be repeated")
    options = parser.parse_args()
    if unknown := set(options.steps) - {*STEPS, MIGRATE}:
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    try:
        asyncio.run(take(options.steps or STEPS, options.service or SERVICES))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


async def take(steps: list[str] | tuple[str, ...], services: list[str] | tuple[str, ...]) -> None:
    """In the order in which they are given. Raises Missing, MigrationFailed, and what the servers answer."""
    for step in steps:
        if step == "topics":
            usual, factor, in_sync = REPLICAS[profile()], number("REDRESS_REPLICATION_FACTOR"), number("REDRESS_MIN_INSYNC_REPLICAS")
            demand(production.of_topics(factor or usual.factor, in_sync or usual.min_insync))
            partitions = number("REDRESS_PARTITIONS") or 12
            warning = await prepare_topics(kafka(), partitions, profile(), factor=factor, min_insync=in_sync)
            say(f"topics are there{f'. {warning}' if warning else ''}")
        elif step == "databases":
            for service in services:
                owner, app = password("REDRESS_OWNER_PASSWORD"), password("REDRESS_APP_PASSWORD")
                admin = setting("REDRESS_POSTGRES_ADMIN_DSN")
                demand(production.of_database("POSTGRES_ADMIN_DSN", admin))
                made = await prepare_database(
                    admin,
                    service,
                    owner_password=owner,
                    app_password=app,
                    kafka=kafka(),
                    partitions=number("REDRESS_PARTITIONS") or 12,
                    master=await master_keys(),
                    mac=mac_keys(),
                    progress=say,
                )
                say(f"{made.name} is migrated")
        elif step == MIGRATE:
            if len(services) != 1:
                raise Missing("REDRESS_OWNER_URL names one database: say whose by --service NAME.")
            owner_dsn, app_role = owner_address(), f"{ENTRIES[services[0]].database}_app"
            demand(production.of_database("OWNER_URL", owner_dsn))
            await close_to_others(owner_dsn, app_role)
            await migrate_database(
                owner_dsn,
                app_role,
                services[0],
                kafka=kafka(),
                partitions=number("REDRESS_PARTITIONS") or 12,
                master=await master_keys(),
                mac=mac_keys(),
                progress=say,
            )
            say(f"{ENTRIES[services[0]].database} is migrated")
        elif profile() != "local":
            raise Missing("The development issuer is for REDRESS_PROFILE=local alone: anybody who has its key can pose as any caller.")
        else:
            issuer = Issuer(Path(setting("REDRESS_KEYS")))
            for each in (issuer.jwks, *files_of(issuer.master_key).values()):  # and not the key that signs tokens
                shutil.copy2(each, Path(setting("REDRESS_SERVICE_KEYS")) / each.name)
            shutil.copytree(issuer.mac_keys, Path(setting("REDRESS_SERVICE_KEYS")) / issuer.mac_keys.name, dirs_exist_ok=True)
            say(f"keys are in {issuer.folder}")


def setting(name: str) -> str:
    """A variable's value. Raises Missing."""
    value = os.environ.get(name)
    if not value:
        raise Missing(f"{name} is not set.")
    return value


def password(name: str) -> str:
    """A password, from the variable or from the file that the variable with _FILE at its end names. Raises Missing."""
    file = os.environ.get(f"{name}_FILE")
    if file and os.environ.get(name):
        raise Missing(f"Set {name} or {name}_FILE, not both.")
    try:
        found = secret(Path(file)) if file else setting(name)
    except ValueError as error:
        raise Missing(f"{name}_FILE: {error}") from None
    demand(production.of_password(name.removeprefix(PREFIX), found))
    return found


def owner_address() -> str:
    """REDRESS_OWNER_URL, with the password of REDRESS_OWNER_PASSWORD or its file where the address has none. Raises Missing."""
    address = setting("REDRESS_OWNER_URL")
    parts = urlsplit(address)
    if parts.password or not any(os.environ.get(f"REDRESS_OWNER_PASSWORD{end}") for end in ("", "_FILE")):
        return address
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password('REDRESS_OWNER_PASSWORD'), safe='')}@{host}"))


def kafka() -> KafkaClients:
    """As services reach it. Raises Missing, BadSettings."""
    told = told_kafka(setting("REDRESS_KAFKA"))
    demand(production.of_kafka(told.security, told.token_url, told.password))
    return told


def demand(flaws: Iterable[production.NotForProduction]) -> None:
    """In production, nothing that is for one's own machine alone. Raises Missing."""
    try:
        accepted = production.accepted(os.environ.get("REDRESS_ACCEPT"))
    except ValueError as error:
        raise Missing(f"REDRESS_ACCEPT: {error}") from None
    if profile() == "production" and (refused := production.lines(flaws, accepted)):
        raise Missing("\n".join(refused))


def profile() -> str:
    """As services read it. Raises Missing."""
    value = os.environ.get("REDRESS_PROFILE", "production").lower()
    if value not in ("local", "production"):
        raise Missing("REDRESS_PROFILE is neither local nor production.")
    return value


async def master_keys() -> Keyring | None:
    """What a rebuild of intake needs, where REDRESS_MASTER_KEY_FILE is there; at the first start it is not, and nothing is rebuilt. Raises
    BadSettings, MasterKeyAway, MasterKeyUnusable."""
    file = Path(os.environ.get("REDRESS_MASTER_KEY_FILE") or "/nowhere")
    if not files_of(file):
        return None
    told = VaultSettings.read()
    demand(told.vault_flaws())
    keys = told.master_keys_of(file)
    await keys.load()
    return keys.ring


def mac_keys() -> MacKeys:
    """What any rebuild needs, where REDRESS_MAC_KEYS_DIR is there; at the first start it is not, and nothing is rebuilt. Raises
    MacKeysUnusable."""
    folder = Path(os.environ.get("REDRESS_MAC_KEYS_DIR") or "/nowhere")
    return MacKeys.read(folder) if folder.is_dir() else NO_KEYS


def number(name: str) -> int | None:
    """A variable's value, None where it is not set. Raises Missing."""
    value = os.environ.get(name)
    if value and not (value.isdecimal() and int(value)):
        raise Missing(f"{name} is not a number above 0.")
    return int(value) if value else None


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
