"""What must be there before a service starts: the topics, and its database with two roles and the tables that its code needs."""

from __future__ import annotations

import importlib

from redress_local.places import migrations, package
from redress_local.provision import Databases, provision


async def prepare_topics(kafka: str, partitions: int) -> None:
    """Make the topics that are missing."""
    await importlib.import_module("redress_events.topics").ensure(bootstrap=kafka, partitions=partitions)


async def prepare_database(admin_dsn: str, service: str, *, owner_password: str, app_password: str) -> Databases:
    """Make the database and its roles as far as they are missing, then migrate. Raises MigrationFailed, NeedsRebuild."""
    databases = await provision(admin_dsn, service, owner_password=owner_password, app_password=app_password)
    await importlib.import_module("redress_events.migrate").migrate(
        owner_dsn=databases.owner_dsn,
        app_role=databases.app_role,
        service_migrations_dir=migrations(service),
        fold=importlib.import_module(f"{package(service)}.main").service.fold,
    )
    return databases
