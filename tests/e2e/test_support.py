"""What the other tests lean on: questions go on after a rebuild, and a breach that is noticed late is told whatever was away before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from live import Databases
from verdicts import NOTICED_WITHIN, RECOVERY, Unrest, noticed_late

from redress_local.places import migrations
from redress_local.processes import run
from redress_spine.messaging.envelope import Envelope
from redress_spine.store.migrate import migrate

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTLE = 5.0
AFTER = RECOVERY.total_seconds() + SETTLE
BOUND = NOTICED_WITHIN.total_seconds()


def test_questions_go_on_after_a_rebuild_took_the_schema_away(module_database: Callable[[str], Any]):
    intake = module_database("intake")
    schema = run(migrate(owner_dsn=intake.owner_dsn, app_role=intake.app_role, service_migrations_dir=migrations("intake"), fold=1))
    system: Any = SimpleNamespace(databases={"intake": intake})
    with closing(Databases(system)) as databases, closing(Databases(system)) as rebuild:
        assert databases.fetch("intake", "SELECT count(*) FROM state")[0][0] == 0
        rebuild.fetch("intake", f"ALTER SCHEMA {schema} RENAME TO rebuilt")
        rebuild.fetch("intake", "UPDATE public.live SET schema = 'rebuilt'")
        assert databases.fetch("intake", "SELECT count(*) FROM state")[0][0] == 0


@pytest.mark.parametrize(
    ("away", "noticed", "late"),
    [
        ([], BOUND, False),
        ([], BOUND + 1, True),
        ([(-1, 60)], 60 + AFTER + BOUND, False),
        ([(-1, 60)], 60 + AFTER + BOUND + 1, True),
        ([(BOUND, 60)], 60 + AFTER + BOUND, False),  # it may be away before the breach has to be noticed
        ([(BOUND + 1, 60)], BOUND + 1, True),
        ([(-60, -AFTER - 1)], BOUND + 1, True),
        ([(60, 90), (-1, 60)], 90 + AFTER + BOUND, False),  # one after the other, without rest between
        ([(-1, 60), (200, 260)], 260, True),
    ],
)
def test_a_late_breach_is_told_whatever_was_away(away: list[tuple[float, float]], noticed: float, late: bool):
    instants = iter([NOON + timedelta(seconds=each) for span in away for each in span])
    unrest = Unrest(SETTLE, lambda: next(instants))
    for _ in away:
        with unrest.now():
            pass
    data = {"clock": "resolve", "cycle": 1, "n": 1, "deadline": NOON.isoformat()}
    data["noticed_at"] = (NOON + timedelta(seconds=noticed)).isoformat()
    breach = Envelope("", "sla-monitor", "redress.sla-monitor.deadline-breached.v1", "complaint/c", NOON, 1, data, "", "", None, None, "")
    assert bool(noticed_late([breach], ["c"], unrest)) is late
