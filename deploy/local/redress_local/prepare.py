"""What must be there before a service starts: the topics, and its database with two roles and the tables that its code needs."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from redress_chassis.settings import KafkaSettings
from redress_local.places import migrations, package
from redress_local.provision import Databases, provision
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import NO_KEYS, MacKeys, MacKeysUnusable
from redress_spine.store.keyring import Keyring


def told_kafka(bootstrap: str) -> KafkaClients:
    """The Kafka at these addresses, reached as the environment tells services to. Raises BadSettings."""
    return KafkaSettings.read(os.environ).clients(bootstrap)


async def prepare_topics(
    kafka: KafkaClients | str, partitions: int, profile: str, *, factor: int | None = None, min_insync: int | None = None
) -> str | None:
    """Make the topics that are missing. factor and min_insync: replicas, and those that must be in sync; the profile's if not given.
    Returns a warning in a message where they can be had better. Raises TopicsNotMade, WrongPartitions."""
    topics = importlib.import_module("redress_spine.messaging.topics")
    usual = topics.REPLICAS[profile]
    replicas = topics.Replicas(factor or usual.factor, min_insync or usual.min_insync)
    await topics.ensure(kafka=kafka, partitions=partitions, replicas=replicas)
    return None if replicas.to_spare else f"With {replicas}, nothing is shipped while one broker is away. One more replica fixes that."


async def prepare_database(
    admin_dsn: str,
    service: str,
    *,
    owner_password: str,
    app_password: str,
    kafka: KafkaClients | str,
    partitions: int,
    master: Keyring | bytes | None = None,
    mac: MacKeys = NO_KEYS,
    progress: Callable[[str], None] = lambda _: None,
) -> Databases:
    """Make the database and its roles as far as they are missing, then migrate. Raises MigrationFailed, and what a rebuild raises."""
    databases = await provision(admin_dsn, service, owner_password=owner_password, app_password=app_password)
    how: dict[str, Any] = {"kafka": kafka, "partitions": partitions, "master": master, "mac": mac, "progress": progress}
    await migrate_database(databases.owner_dsn, databases.app_role, service, **how)
    return databases


async def migrate_database(
    owner_dsn: str,
    app_role: str,
    service: str,
    *,
    kafka: KafkaClients | str,
    partitions: int,
    master: Keyring | bytes | None = None,
    mac: MacKeys = NO_KEYS,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Migrate a database that is there, as its owner. A state that another fold made is rebuilt from the log before the service starts,
    which needs the MAC keys; one that is searched by personal values needs the master key, too. Raises MigrationFailed,
    MacKeysUnusable, and what a rebuild raises."""
    migration, rebuilding = importlib.import_module("redress_spine.store.migrate"), importlib.import_module("redress_spine.admin.rebuild")
    definition = importlib.import_module(f"{package(service)}.main").service
    how: dict[str, Any] = {"owner_dsn": owner_dsn, "app_role": app_role, "service_migrations_dir": migrations(service)}
    try:
        await migration.migrate(**how, fold=definition.fold, partitions=partitions)
    except migration.NeedsRebuild as needed:
        progress(f"{service}: {needed}")
        if mac is NO_KEYS:
            raise MacKeysUnusable("A rebuild needs the keys by which records prove their source: set REDRESS_MAC_KEYS_DIR.") from None
        environment = RebuildProgress(service, progress)
        how |= {"fold": definition.fold, "kafka": kafka, "master": master}
        done = await rebuilding.Rebuild(definition.verified(partitions, mac), **how, progress=environment).run()
        progress(f"{service}: rebuilt {done.states} states from {done.events} records in {done.seconds:.1f} s")


class RebuildProgress:
    """Passes a rebuild's progress on, once for each tenth of a step."""

    def __init__(self, service: str, progress: Callable[[str], None]) -> None:
        self._service = service
        self._progress = progress
        self._last = ""

    def __call__(self, what: str, done: int, every: int) -> None:
        line = f"{self._service}: {what} {done * 10 // every * 10 if every else 0} %"
        if line != self._last:
            self._last = line
            self._progress(line)
