"""Makes a service's database and its two roles: an owner that migrates, and an app role that may only do what migrations grant it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from redress_local.places import ENTRIES
from redress_spine.store import connections


@dataclass(frozen=True)
class Databases:
    """One database, reached as its owner and as the service."""

    name: str
    owner_role: str
    app_role: str
    owner_dsn: str
    app_dsn: str


async def provision(
    admin_dsn: str, service: str, *, database: str | None = None, owner_password: str | None = None, app_password: str | None = None
) -> Databases:
    """Make the service's database and its roles, as far as they are missing, and return how to reach it.

    Without a password given, a random one is set, so an earlier one stops working. Safe to repeat.
    """
    owner_password = owner_password or secrets.token_urlsafe(24)
    app_password = app_password or secrets.token_urlsafe(24)
    databases = addresses(admin_dsn, service, database=database, owner_password=owner_password, app_password=app_password)
    name, owner, app = databases.name, databases.owner_role, databases.app_role
    connection = await connections.connect(admin_dsn)
    try:
        # Two starts at a time on one server must not both make the same role.
        await connection.execute("SELECT pg_advisory_lock(hashtext('redress-provision'))")
        for role, password in ((owner, owner_password), (app, app_password)):
            there = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if there else "CREATE"
            await connection.execute(f'{verb} ROLE "{role}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {_literal(password)}')
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}" OWNER "{owner}"')
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        await connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{app}"')
    finally:
        await connection.close()
    return databases


def addresses(admin_dsn: str, service: str, *, database: str | None = None, owner_password: str, app_password: str) -> Databases:
    """What `provision` makes on the server at `admin_dsn`, and how to reach it; nothing is asked or changed."""
    name = database or ENTRIES[service].database
    owner, app = f"{name}_owner", f"{name}_app"
    return Databases(name, owner, app, _dsn(admin_dsn, owner, owner_password, name), _dsn(admin_dsn, app, app_password, name))


async def close_to_others(owner_dsn: str, app_role: str) -> None:
    """What `provision` does for a database that it makes: nobody connects to it but its owner and the app role."""
    connection = await connections.connect(owner_dsn)
    try:
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        await connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{app_role}"')
    finally:
        await connection.close()


async def drop(admin_dsn: str, databases: Databases) -> None:
    """Remove the database, whoever is connected, and its roles."""
    connection = await connections.connect(admin_dsn)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{databases.name}" WITH (FORCE)')
        for role in (databases.app_role, databases.owner_role):
            await connection.execute(f'DROP ROLE IF EXISTS "{role}"')
    finally:
        await connection.close()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _dsn(admin_dsn: str, role: str, password: str, database: str) -> str:
    parts = urlsplit(admin_dsn)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{role}:{quote(password, safe='')}@{address}", f"/{database}", parts.query, ""))
