"""In every state that a service can come to, its columns in PostgreSQL say of each automation what the walk took for due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest
from machines import Limits, Service, machines
from rows import LATE
from walks import moves_about, runs_late

from redress_events.event import micros
from redress_local.places import migrations
from redress_local.provision import Databases
from redress_spine.processing.projections import changes, write
from redress_spine.store import connections
from redress_spine.store.migrate import migrate
from redress_spine.store.states import Codec

INSERT = """
INSERT INTO state (subject, partition, observed, own)
SELECT 'complaint/' || gen_random_uuid(), 0, observed::jsonb, own::jsonb
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY given (observed, own, nth) ORDER BY nth
RETURNING """
WORKING = [service for service in machines(Limits()) if any(act.automation for act in service.acts)]


@pytest.fixture(scope="module")
def columns(module_database: Callable[[str], Databases]) -> Iterator[Callable[[Service, list[Any]], list[asyncpg.Record]]]:
    """What the columns of this service say of these states: for each automation by its name, whether it is due at LATE."""

    async def ask(service: Service, states: list[Any]) -> list[asyncpg.Record]:
        databases, codec = module_database(service.name), Codec(service.aggregate)
        schema = await migrate(
            owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=migrations(service.name), fold=1
        )
        conditions = [
            (act.automation, f"coalesce({act.automation.time} <= {micros(LATE)}, false)" if act.automation.at else "true")
            for act in service.acts
            if act.automation
        ]
        wanted = ", ".join(f'({automation.condition}) AND {time} AS "{automation.name}"' for automation, time in conditions)
        connection = await connections.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"})
        try:
            observed, own = [codec.dump_observed(state.observed) for state in states], [codec.dump_own(state.own) for state in states]
            if not service.aggregate.projections:
                return list(await connection.fetch(INSERT + wanted, observed, own))
            subjects = [row["subject"] for row in await connection.fetch(INSERT + "subject", observed, own)]
            for subject, state in zip(subjects, states, strict=True):
                await write(connection, changes(service.aggregate, subject, None, (state.observed, state.own)))
            columns = ", ".join(
                f"coalesce((SELECT ({each.condition}) AND {time} FROM {each.rows} WHERE {each.subject} = w.subject), false) "
                f'AS "{each.name}"'
                for each, time in conditions
            )
            return list(
                await connection.fetch(f"SELECT {columns} FROM unnest($1::text[]) WITH ORDINALITY w (subject, nth) ORDER BY nth", subjects)
            )
        finally:
            await connection.close()

    with asyncio.Runner() as runner:
        yield lambda service, states: runner.run(ask(service, states))


@pytest.mark.slow
@pytest.mark.parametrize("service", WORKING, ids=lambda service: service.name)
def test_what_is_due_in_the_walk_is_due_in_sql(service: Service, columns: Callable[[Service, list[Any]], list[asyncpg.Record]]):
    states = [*moves_about().rows[service.name], *runs_late().rows[service.name]]
    works = [act for act in service.acts if act.automation]
    fell_due = set()
    for state, row in zip(states, columns(service, states), strict=True):
        said, walked = dict(row), {act.name: act.due(state, LATE) for act in works}
        assert said == walked, state
        fell_due |= {name for name, due in said.items() if due}
    assert fell_due == {act.name for act in works}
