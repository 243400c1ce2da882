"""Brings a service's database to the shape its code needs; run once before start, by the owner, never by every replica.

Migrations are files of SQL in dbmate's form, each run once, in a transaction of its own, on a connection that is made like every other:
a program beside this one would read the address by rules of its own, and show the owner's password in the list of processes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from redress_spine.store import connections
from redress_spine.store.errors import WrongPartitions

HERE = Path(__file__).parents[1] / "migrations"
GRANTS = """
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT ON public.live, public.birthplace, public.rebuilds TO {role};
GRANT SELECT, INSERT ON public.events, public.skips, public.partitioning TO {role};
GRANT SELECT, UPDATE ON public.relay_checkpoint TO {role};
GRANT SELECT, INSERT, UPDATE ON public.keys, public.master_key TO {role};
GRANT SELECT, INSERT, DELETE ON public.idempotency TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON public.effects TO {role};
GRANT SELECT, INSERT ON public.audit TO {role};
"""
NUMBER = """
INSERT INTO partitioning (partitions) VALUES ($1)
ON CONFLICT (one) DO UPDATE SET partitions = excluded.partitions WHERE NOT EXISTS (SELECT 1 FROM events)
"""
NEW_SCHEMA = """
INSERT INTO rebuilds (schema, fold) SELECT format('fold%s_%s', $1::int, count(*) + 1), $1 FROM rebuilds WHERE fold = $1 RETURNING schema
"""
STATE_GRANTS = """
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};
"""


class MigrationFailed(Exception):
    """The database was not brought to its shape. The message says why."""


class NoMigration(ValueError):
    """A file that does not say what it does."""


@dataclass(frozen=True)
class NeedsRebuild(Exception):
    """The live state was folded by another fold than this release's."""

    schema: str
    live: int
    wanted: int

    def __str__(self) -> str:
        return f"The live state ({self.schema}) was made by fold {self.live}, this release folds by {self.wanted}: rebuild first."


async def migrate(*, owner_dsn: str, app_role: str, service_migrations_dir: Path, fold: int, partitions: int | None = None) -> str:
    """Apply what is missing and return the live state schema. partitions: what the journal is numbered for, where it is empty still.
    Raises MigrationFailed, NeedsRebuild, WrongPartitions."""
    try:
        await connections.demand_sessions(owner_dsn, "migrate")
        connection = await connections.connect(owner_dsn, "migrate")
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, connections.SharedSession) as error:
        if why := connections.refusal(error):
            raise MigrationFailed(f"The database {why}") from error
        raise
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('redress-migrate'))")
        await apply(connection, "public", HERE / "journal")
        await connection.execute(GRANTS.format(role=app_role))
        if partitions is not None:
            await connection.execute(NUMBER, partitions)
            if (numbered := await connection.fetchval("SELECT partitions FROM partitioning")) != partitions:
                raise WrongPartitions(f"The journal is numbered for {numbered} partitions, and REDRESS_PARTITIONS is {partitions}.")
        row = await connection.fetchrow("SELECT schema, fold FROM live")
        if row is not None and row["fold"] != fold:
            raise NeedsRebuild(row["schema"], row["fold"], fold)
        schema = row["schema"] if row else await new_schema(connection, fold)
        await make_state_schema(connection, app_role, schema, service_migrations_dir)
        if row is None:
            async with connection.transaction():
                await connection.execute("INSERT INTO live (schema, fold) VALUES ($1, $2)", schema, fold)
                await connection.execute("UPDATE rebuilds SET live_at = now() WHERE schema = $1", schema)
        return str(schema)
    finally:
        await connection.close()


async def new_schema(connection: asyncpg.Connection, fold: int) -> str:
    """A name for a state schema, by fold and number, that was never used before."""
    return str(await connection.fetchval(NEW_SCHEMA, fold))


async def make_state_schema(connection: asyncpg.Connection, app_role: str, schema: str, service_migrations_dir: Path) -> None:
    """Make or complete one state schema: the spine's tables, then the service's columns and indexes."""
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    await apply(connection, f"{schema},public", HERE / "state", service_migrations_dir)
    await connection.execute(STATE_GRANTS.format(schema=schema, role=app_role))


async def apply(connection: asyncpg.Connection, search_path: str, *folders: Path) -> None:
    """Run what was not yet run of these folders' files, in order of their numbers, in the first schema of the search path, which also
    keeps the numbers of those that were. Raises MigrationFailed."""
    table = f"{search_path.partition(',')[0]}.schema_migrations"
    await connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (version varchar(128) NOT NULL PRIMARY KEY)")
    done = {row["version"] for row in await connection.fetch(f"SELECT version FROM {table}")}
    for file in sorted((file for folder in folders for file in folder.glob("*.sql")), key=lambda each: each.name):
        if (version := file.name.partition("_")[0]) in done:
            continue
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL search_path = {search_path}")
                if statements := up(file.read_text("utf-8")):
                    await connection.execute(statements)
                await connection.execute(f"INSERT INTO {table} (version) VALUES ('{version}')")
        except (asyncpg.PostgresError, NoMigration) as error:
            raise MigrationFailed(f"{file.name}: {error}") from error


def up(text: str) -> str:
    """What a migration does: between `-- migrate:up` and `-- migrate:down`; empty where that is comments alone. Raises NoMigration."""
    found = re.search(r"^-- migrate:up[ \t]*\n(.*?)(?=^-- migrate:down|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise NoMigration("it has no line `-- migrate:up`")
    return found[1] if re.search(r"^(?!\s*(--|$))", found[1], re.MULTILINE) else ""
