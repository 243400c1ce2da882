"""The columns say what the state says, in every history, and the work ends what made it due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.contracts import TRIAGE
from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.facts import Fact, micros
from redress_events.migrate import migrate
from redress_events.states import Codec
from redress_events.testing import NOON, Spec, folded
from redress_local.provision import Databases
from redress_triage.domain.complaint import KIND, Complaint
from redress_triage.work import CLASSIFY

MIGRATIONS = Path(__file__).parents[2] / "migrations"
CODEC = Codec(KIND)
SAID: dict[str, Any] = {"category": "other", "sub_category": "privacy", "kind": "complaint", "severity": "normal", "taxonomy": "telecom@1"}
REGISTERED = ComplaintRegistered(number="7K3M", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")
FACTS = st.one_of(
    st.just(REGISTERED),
    st.builds(ComplaintClosed, cycle=st.integers(1, 3), reason=st.just("withdrawn")),
    st.builds(ComplaintReopened, cycle=st.integers(2, 3), urgency=st.just(1)),
    st.builds(
        ComplaintClassified,
        classification=st.just(1),
        confidence=st.just(0.5),
        review=st.booleans(),
        **{k: st.just(v) for k, v in SAID.items()},
    ),
    st.just(ComplaintReclassified(classification=2, reason="triage/3/reason", **SAID)),
    st.just(ComplaintRouted(routing=1, department="finance", queue="charges")),
)
INSERT = """
INSERT INTO state (subject, partition, heard, done)
SELECT 'complaint/' || gen_random_uuid(), 0, heard::jsonb, done::jsonb
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY given (heard, done, nth) ORDER BY nth
RETURNING to_classify, review_since
"""


@dataclass(frozen=True)
class Database:
    """A migrated database, and a loop to talk to it from tests that Hypothesis drives."""

    runner: asyncio.Runner
    connection: asyncpg.Connection

    def columns(self, complaints: list[Complaint]) -> list[asyncpg.Record]:
        return self.runner.run(self._columns(complaints))

    async def _columns(self, complaints: list[Complaint]) -> list[asyncpg.Record]:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            heard, done = ([CODEC.dump_heard(each.heard) for each in complaints], [CODEC.dump_done(each.done) for each in complaints])
            return await self.connection.fetch(INSERT, heard, done)
        finally:
            await transaction.rollback()


@pytest.fixture(scope="module")
def state(module_database: Callable[[str], Databases]) -> Iterator[Database]:
    databases = module_database("triage")
    with asyncio.Runner() as runner:
        schema = runner.run(migrate(owner_dsn=databases.owner_dsn, app_role=databases.app_role, service_migrations_dir=MIGRATIONS, fold=1))
        connection = runner.run(asyncpg.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"}))
        yield Database(runner, connection)
        runner.run(connection.close())


def chapters(facts: list[Fact]) -> list[Complaint]:
    """The state after each fact, in the order given."""
    return [folded(TRIAGE, KIND, told) for told in accumulate(([fact] for fact in facts), initial=[])]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(FACTS, max_size=10))
def test_the_columns_say_what_the_state_says(state: Database, facts: list[Fact]) -> None:
    told = chapters(facts)
    for complaint, row in zip(told, state.columns(told), strict=True):
        registered, classified = complaint.heard.registered_at is not None, complaint.done.classification.number > 0
        waits = complaint.done.review_since if not complaint.closed else None
        assert row["to_classify"] == (registered and not classified and not complaint.closed)
        assert row["review_since"] == (micros(waits) if waits else None)


@pytest.mark.parametrize("words", ["断网", "nothing that the rules know", None])
def test_what_is_due_is_decided_and_then_no_longer_due(state: Database, triage: Spec, words: str | None) -> None:
    story = triage.given(REGISTERED).knowing({"intake/1/text": words} if words else {})
    outcome = story.when_due(CLASSIFY)
    assert len(outcome.facts) == 2
    before, after = state.columns([story.state, outcome.after.state])
    assert (before["to_classify"], after["to_classify"]) == (True, False)
