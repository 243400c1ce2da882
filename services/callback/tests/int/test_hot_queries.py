"""Each query that the work loop and the list ask again and again is answered from its index, on 50,000 analysed rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redress_callback import testing as say
from redress_callback.api import VISITS
from redress_callback.domain.closing import end
from redress_callback.domain.visit import KIND
from redress_callback.work import GIVE_UP, WORK
from redress_events.contracts import CALLBACK
from redress_events.facts import Work
from redress_events.states import Codec
from redress_events.testing import Spec
from redress_events.work import due_sql, next_sql

CODEC = Codec(KIND)
PARTITIONS = list(range(12))
AGES = 2**62
# Of each thousand one is to be scheduled, one was withdrawn, and of one the public record changed; fifty wait for their visit, fifty for
# the end of the waiting time, each for another instant; and all others are closed.
FILL = """
INSERT INTO state (subject, partition, heard, done)
SELECT
    'complaint/' || gen_random_uuid(), n % 12, ($1::text[])[shape]::jsonb,
    CASE shape
        WHEN 4 THEN ($2::text[])[4]::jsonb || jsonb_build_object('due_at', n)
        WHEN 5 THEN ($2::text[])[5]::jsonb || jsonb_build_object('give_up_at', n)
        ELSE ($2::text[])[shape]::jsonb
    END
FROM generate_series(1, 50000) n
CROSS JOIN LATERAL (
    SELECT CASE WHEN n % 1000 < 3 THEN n % 1000 + 1 WHEN n % 20 = 3 THEN 4 WHEN n % 20 = 4 THEN 5 ELSE 6 END AS shape
) s
"""


def shapes() -> list[Any]:
    """to schedule, to close as withdrawn, to publish again, due, unreached, closed"""
    new = Spec(CALLBACK, KIND).given(say.registered(), say.classified(), say.routed(), say.resolved())
    visited = Spec(CALLBACK, KIND).given(*new.happened, say.scheduled())
    closed = Spec(CALLBACK, KIND).given(
        *visited.happened, *end(visited.state, visited.context, "satisfied", [say.reached(), say.answered()])
    )
    changed = Spec(CALLBACK, KIND).given(*closed.happened, say.breached())
    unreached = Spec(CALLBACK, KIND).given(*visited.happened, say.missed(1), say.missed(2), say.missed(3))
    withdrawn = Spec(CALLBACK, KIND).given(*new.happened, say.withdrawn())
    return [case.state for case in (new, withdrawn, changed, visited, unreached, closed)]


@pytest.fixture(scope="module")
def explain(state: Any) -> Callable[..., str]:
    visits = shapes()
    heard, done = [CODEC.dump_heard(visit.heard) for visit in visits], [CODEC.dump_done(visit.done) for visit in visits]
    state.runner.run(state.connection.execute(FILL, heard, done))
    state.runner.run(state.connection.execute("VACUUM ANALYZE state"))

    def plan(sql: str, *values: Any) -> str:
        rows = state.runner.run(state.connection.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", *values))
        return "\n".join(row[0] for row in rows)

    return plan


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.name)
def test_what_is_due_comes_from_an_index(explain: Callable[..., str], work: Work):
    plan = explain(due_sql(work), PARTITIONS, AGES, 200)
    assert work.index in plan, plan
    assert "Seq Scan on state" not in plan, plan


def test_the_next_instant_comes_from_an_index(explain: Callable[..., str]):
    plan = explain(next_sql(GIVE_UP), PARTITIONS)
    assert GIVE_UP.index in plan, plan
    assert "Sort" not in plan, plan


def test_a_page_comes_from_an_index_in_its_order(explain: Callable[..., str]):
    plan = explain(VISITS.sql(0), 1000, "", 51)
    assert VISITS.index in plan, plan
    assert "Sort" not in plan, plan
