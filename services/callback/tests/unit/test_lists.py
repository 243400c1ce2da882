"""The rows say, in every history, what the domain says: what is due, and who is to be called when; and a decision ends what was due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_callback import testing as say
from redress_callback.automations import CLOSE_WITHDRAWN, GIVE_UP, PUBLISH_AGAIN, automations
from redress_callback.domain.aggregate import AGGREGATE
from redress_callback.domain.attempt import Attempt, attempt
from redress_callback.domain.lists import VISITS, row
from redress_callback.domain.own import Satisfaction
from redress_callback.domain.visit import Visit
from redress_callback.testing import POLICY
from redress_events.areas import area_key
from redress_events.event import Event, micros
from redress_spine.aggregate import Automation, CommandRejected, Context
from redress_spine.processing.projections import changes
from redress_spine.testing import NOON

AUTOMATIONS = automations(POLICY)
SCHEDULE = AUTOMATIONS[0]
CYCLES, CLOCKS, NUMBERS = st.integers(1, 3), st.sampled_from(["classify", "resolve"]), st.integers(1, 2)
# What may come next: a foreign event, some of them absurd; an attempt, refused or not; a turn of the automation loop; each
# some hours later.
NEXT = st.tuples(
    st.one_of(
        st.builds(say.routed, st.sampled_from(["finance", "consulting"]), st.integers(1, 3)),
        st.builds(say.transferred, st.just("technical_support"), st.integers(1, 3)),
        st.builds(say.resolved, CYCLES),
        st.builds(say.resolved, CYCLES),
        st.builds(say.rejected, CYCLES),
        st.builds(say.resolved, CYCLES, said=st.integers(0, 3)),
        st.builds(say.supplemented),
        st.builds(say.chased),
        st.builds(say.withdrawn, st.integers(1, 2)),
        st.builds(say.breached, CLOCKS, CYCLES, NUMBERS),
        st.builds(say.annulled, CLOCKS, CYCLES, NUMBERS),
        st.just(Attempt()),
        st.builds(Attempt, st.builds(Satisfaction, st.booleans(), st.integers(1, 5))),
        st.sampled_from([SCHEDULE, SCHEDULE, *AUTOMATIONS]),
    ),
    st.integers(0, 9),
)
START = [(say.registered(), 0)]
# The whole way to where a customer counts as unreachable, so that this is not left to luck.
UNREACHED = [*START, (say.resolved(), 0), (SCHEDULE, 1), (Attempt(), 1), (Attempt(), 4), (Attempt(), 4)]
HISTORIES = st.tuples(st.sampled_from([START, UNREACHED]), st.lists(NEXT, max_size=25)).map(lambda parts: [*parts[0], *parts[1]])
DUE = {"schedule": "to_schedule", "close-withdrawn": "withdrawn", "give-up": "give_up_at", "publish-again": "revision_due"}
NO_ROW = (False, False, None, False, None, "")

Chapter = tuple[Visit, datetime]


def decided(step: Automation | Attempt, visit: Visit, now: datetime) -> list[Event]:
    context = Context(now=now, actor="timer", subject="complaint/1")
    try:
        return step.decide(visit, context) if isinstance(step, Automation) else attempt(visit, step, context, policy=POLICY)
    except CommandRejected:
        return []


def after(visit: Visit, events: list[Event], now: datetime) -> Visit:
    own = visit.own
    for event in events:
        own = AGGREGATE.evolve(own, event, now)
    return Visit(visit.observed, own)


def chapters(steps: list[tuple[Any, int]]) -> list[Chapter]:
    """The state after each step, and when that was."""
    told: list[Chapter] = []
    visit, now = Visit(), NOON
    for step, hours in steps:
        now += timedelta(hours=hours)
        if isinstance(step, Event):
            visit = Visit(AGGREGATE.observe(visit.observed, step, now), visit.own)
        else:
            visit = after(visit, decided(step, visit, now), now)
        told.append((visit, now))
    return told


def shown(visit: Visit) -> dict[str, Any]:
    """The visit's row, or what it amounts to that it has none."""
    return dict(zip(VISITS.columns, (row(visit) or [NO_ROW])[0], strict=True))


def due(automation: Automation, visit: Visit, now: datetime) -> bool:
    column = shown(visit)[DUE[automation.name]]
    return bool(column is not None and column <= micros(now) if automation.at else column)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_the_rows_say_what_the_domain_says(steps: list[tuple[Any, int]]):
    for visit, now in chapters(steps):
        for automation in AUTOMATIONS:
            assert due(automation, visit, now) == bool(decided(automation, visit, now)), automation.name
        assert shown(visit)["area"] == ((area_key(visit.observed.area) or "") if row(visit) else "")
        assert shown(visit)["to_call"] == (None if visit.visit_at is None else micros(visit.visit_at) - visit.unanswered * 2**53)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_a_decision_ends_what_made_the_row_due(steps: list[tuple[Any, int]]):
    for visit, now in chapters(steps):
        for automation in AUTOMATIONS:
            assert not due(automation, after(visit, decided(automation, visit, now), now), now), automation.name


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_the_projection_names_every_field_that_its_rows_look_at(steps: list[tuple[Any, int]]):
    """Made through the spine, which shows a projection no others, the rows are the same."""
    for visit, _ in chapters(steps):
        assert [each[1:] for each in changes(AGGREGATE, "complaint/1", None, (visit.observed, visit.own)).came[VISITS]] == row(visit)


@pytest.mark.parametrize(
    ("automation", "story"),
    [
        (SCHEDULE, [*START, (say.resolved(), 0)]),
        (CLOSE_WITHDRAWN, [*START, (say.withdrawn(), 0)]),
        (GIVE_UP, [*UNREACHED, (say.routed(), 24)]),
        (PUBLISH_AGAIN, [*START, (say.withdrawn(), 0), (CLOSE_WITHDRAWN, 0), (say.breached(), 1)]),
    ],
    ids=lambda value: value.name if isinstance(value, Automation) else "",
)
def test_each_work_falls_due(automation: Automation, story: list[tuple[Any, int]]):
    visit, now = chapters(story)[-1]
    assert [each.name for each in AUTOMATIONS if due(each, visit, now)] == [automation.name]
