"""A migrated database of callback, for tests that compare what its columns say with what the domain says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from redress_callback.domain.visit import KIND, Visit
from redress_events.migrate import migrate
from redress_events.states import Codec
from redress_local.provision import Databases

MIGRATIONS = Path(__file__).parents[2] / "migrations"
CODEC = Codec(KIND)
INSERT = """
INSERT INTO state (subject, partition, heard, done)
SELECT 'complaint/' || gen_random_uuid(), 0, heard::jsonb, done::jsonb
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY given (heard, done, nth) ORDER BY nth
RETURNING """


@dataclass(frozen=True)
class Database:
    """A loop to talk to it from tests that Hypothesis drives."""

    runner: asyncio.Runner
    connection: asyncpg.Connection

    def say(self, visits: Sequence[Visit], **expressions: str) -> list[asyncpg.Record]:
        """What these expressions over the columns are for each of these states; nothing of it stays."""
        wanted = ", ".join(f"({expression}) AS {name}" for name, expression in expressions.items())

        async def ask() -> list[asyncpg.Record]:
            transaction = self.connection.transaction()
            await transaction.start()
            try:
                heard, done = [CODEC.dump_heard(visit.heard) for visit in visits], [CODEC.dump_done(visit.done) for visit in visits]
                return list(await self.connection.fetch(INSERT + wanted, heard, done))
            finally:
                await transaction.rollback()

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def state(module_database: Callable[[str], Databases]) -> Iterator[Database]:
    databases = module_database("callback")
    with asyncio.Runner() as runner:
        schema = runner.run(migrate(owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=MIGRATIONS, fold=1))
        connection = runner.run(asyncpg.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"}))
        yield Database(runner, connection)
        runner.run(connection.close())
