"""What the other tests lean on: questions go on after a rebuild."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

from live import Databases

from redress_events.migrate import migrate
from redress_local.places import migrations
from redress_local.processes import run


def test_questions_go_on_after_a_rebuild_took_the_schema_away(module_database: Callable[[str], Any]):
    intake = module_database("intake")
    schema = run(migrate(owner_dsn=intake.owner_dsn, app_role=intake.app_role, service_migrations_dir=migrations("intake"), fold=1))
    system: Any = SimpleNamespace(databases={"intake": intake})
    with closing(Databases(system)) as databases, closing(Databases(system)) as rebuild:
        assert databases.fetch("intake", "SELECT count(*) FROM state")[0][0] == 0
        rebuild.fetch("intake", f"ALTER SCHEMA {schema} RENAME TO rebuilt")
        rebuild.fetch("intake", "UPDATE public.live SET schema = 'rebuilt'")
        assert databases.fetch("intake", "SELECT count(*) FROM state")[0][0] == 0
