"""A service's database: its app role may connect and no more, and provisioning may be repeated."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest

from redress_local.provision import drop, provision
from redress_spine.store import connections


async def test_the_app_role_owns_nothing_and_may_make_nothing(database):
    databases = await database("sla-monitor")
    assert databases.name.startswith("test_sla_monitor_")
    owner = await connections.connect(databases.owner_dsn)
    await owner.execute("CREATE TABLE journal (id int)")
    await owner.close()
    app = await connections.connect(databases.app_dsn)
    for statement in ("SELECT * FROM journal", "CREATE TABLE mine (id int)", "CREATE SCHEMA mine", "CREATE TEMP TABLE mine (id int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement)
    await app.close()


async def test_a_service_cannot_open_the_database_of_another(database):
    mine, other = await database("intake"), await database("triage")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connections.connect(mine.app_dsn.rsplit("/", 1)[0] + "/" + other.name)


async def test_it_may_be_repeated_also_at_the_same_time_and_keeps_the_data(postgres_admin):
    name = f"test_repeat_{uuid.uuid4().hex[:8]}"
    options = {"database": name, "owner_password": "owner-1", "app_password": "app-1"}
    first, *_ = await asyncio.gather(*(provision(postgres_admin, "intake", **options) for _ in range(3)))
    try:
        owner = await connections.connect(first.owner_dsn)
        await owner.execute("CREATE TABLE words (word text)")
        await owner.close()
        again = await provision(postgres_admin, "intake", **options)
        assert again == first
        owner = await connections.connect(again.owner_dsn)
        assert await owner.fetch("SELECT * FROM words") == []
        await owner.close()
    finally:
        await drop(postgres_admin, first)


async def test_the_databases_are_named_after_the_services(postgres_admin):
    databases = await provision(postgres_admin, "sla-monitor")
    try:
        assert (databases.name, databases.owner_role, databases.app_role) == (
            "redress_sla_monitor",
            "redress_sla_monitor_owner",
            "redress_sla_monitor_app",
        )
    finally:
        await drop(postgres_admin, databases)
