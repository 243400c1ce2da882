"""Each query that the work loop and the lists ask again and again is answered from its index, on 50,000 analysed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redress_events.contracts import HANDLING
from redress_events.facts import Work
from redress_events.states import Codec, Query
from redress_events.testing import Spec
from redress_events.work import due_sql
from redress_handling import testing as say
from redress_handling.api import ENDED, TO_DO
from redress_handling.domain.case import KIND
from redress_handling.work import CANCEL, OPEN

CODEC = Codec(KIND)
PARTITIONS = list(range(12))
# Of each thousand one is to be opened and one to be cancelled; fifty are being worked on, and all others have ended.
FILL = """
INSERT INTO state (subject, partition, heard, done)
SELECT
    'complaint/' || gen_random_uuid(), n % 12,
    ($1::text[])[shape]::jsonb || jsonb_build_object('department', 'd' || n % 7),
    ($2::text[])[shape]::jsonb
FROM generate_series(1, 50000) n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 1000 < 2 THEN n % 1000 + 1 WHEN n % 20 = 2 THEN 3 ELSE 4 END AS shape) s
"""
OPENED = [say.registered(), say.classified(), say.routed(), say.opened()]
SHAPES = [OPENED[:3], [*OPENED, say.closed()], OPENED, [*OPENED, say.accepted(), say.contacted(), say.resolved()]]


@pytest.fixture(scope="module")
def explain(state: Any) -> Callable[..., str]:
    cases = [Spec(HANDLING, KIND).given(*story).state for story in SHAPES]
    heard, done = [CODEC.dump_heard(case.heard) for case in cases], [CODEC.dump_done(case.done) for case in cases]
    state.runner.run(state.connection.execute(FILL, heard, done))
    state.runner.run(state.connection.execute("VACUUM ANALYZE state"))

    def plan(sql: str, *values: Any) -> str:
        rows = state.runner.run(state.connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", *values))
        return "\n".join(row[0] for row in rows)

    return plan


@pytest.mark.parametrize("work", [OPEN, CANCEL], ids=lambda work: work.name)
def test_what_is_due_comes_from_an_index(explain: Callable[..., str], work: Work):
    plan = explain(due_sql(work), PARTITIONS, 0, 200)
    assert work.index in plan, plan
    assert "Seq Scan on state" not in plan, plan


@pytest.mark.parametrize("departments", [None, ["d3"]], ids=["all", "one"])
@pytest.mark.parametrize(("query", "stages"), [(TO_DO, ["open", "accepted"]), (ENDED, ["resolved"])], ids=["to-do", "ended"])
def test_a_page_comes_from_an_index_in_its_order(
    explain: Callable[..., str], query: Query, stages: list[str], departments: list[str] | None
):
    plan = explain(query.sql(2), departments, stages, -(2**63), "", 51)
    assert query.index in plan, plan
    assert "Seq Scan on state" not in plan, plan
    assert "Sort Key: s.to_do, s.subject" not in plan, plan
