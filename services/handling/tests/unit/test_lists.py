"""The rows say, in every history, what the domain says: what is due, where a case is, and which is to be done first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.contracts import HANDLING
from redress_events.event import Event
from redress_handling import testing as say
from redress_handling.automations import CANCEL, OPEN
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.aggregate import AGGREGATE
from redress_handling.domain.case import Case, CaseStage
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.lists import CASES, row, urgent_then_oldest, workload
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_spine.aggregate import Automation, CommandRejected, Context
from redress_spine.processing.projections import changes
from redress_spine.testing import NOON, Spec

DEPARTMENTS = ["technical_support", "finance", "consulting"]
CYCLES = st.integers(1, 4)
STEPS: dict[type[Any], Any] = {
    Accept: accept,
    ContactCustomer: contact,
    TransferCase: partial(transfer, departments=frozenset(DEPARTMENTS)),
    Resolve: resolve,
    Reject: reject,
}
# What may come next: a foreign event, some of them absurd; a step of the department, refused or not; or a turn of the automation loop.
NEXT = st.one_of(
    st.builds(say.routed, st.sampled_from(DEPARTMENTS), st.integers(1, 5)),
    st.builds(say.reclassified, st.sampled_from(["minor", "normal", "serious", "major"])),
    st.builds(say.reopened, CYCLES),
    st.builds(say.closed, CYCLES),
    st.builds(Accept),
    st.builds(ContactCustomer, st.just("phone")),
    st.builds(TransferCase, st.sampled_from(DEPARTMENTS), st.just("a bill")),
    st.builds(Resolve, st.just("cause"), st.just("measures"), st.just("unit"), st.just("phone")),
    st.builds(Reject, st.just("reason"), st.just("letter")),
    st.sampled_from([OPEN, OPEN, CANCEL]),
)
START = [say.registered()]
# To where a department works on it, so that this is not left to luck.
WORKING = [*START, say.routed(), OPEN, Accept()]
HISTORIES = st.tuples(st.sampled_from([START, WORKING]), st.lists(NEXT, max_size=25)).map(lambda parts: [*parts[0], *parts[1]])
SHAPE = {"department": None, "stage": "none", "to_do": None, "latest_end": None, "to_open": False, "to_cancel": False}


def shown(case: Case) -> dict[str, Any]:
    """The case's row, or what it amounts to that it has none."""
    rows = row(case)
    return dict(zip(CASES.columns, rows[0], strict=True)) if rows else {**SHAPE, "department": case.department}


def decided(step: Any, case: Case) -> list[Event]:
    context = Context(now=NOON, actor="handler:alice", subject="complaint/1", roles=frozenset({"handler"}))
    try:
        return list(step.decide(case, context) if isinstance(step, Automation) else STEPS[type(step)](case, step, context))
    except CommandRejected:
        return []


def after(case: Case, events: list[Event]) -> Case:
    own = case.own
    for event in events:
        own = AGGREGATE.evolve(own, event, NOON)
    return Case(case.observed, own)


def chapters(steps: list[Any]) -> list[Case]:
    """The state before and after each step."""
    cases = [Case()]
    for step in steps:
        case = cases[-1]
        if isinstance(step, Event):
            cases.append(Case(AGGREGATE.observe(case.observed, step, NOON), case.own))
        else:
            cases.append(after(case, decided(step, case)))
    return cases


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_the_rows_say_what_the_domain_says(steps: list[Any]):
    for case in chapters(steps):
        said = shown(case)
        assert said["to_open"] == bool(decided(OPEN, case))
        assert said["to_cancel"] == bool(decided(CANCEL, case))
        assert (said["department"], said["stage"]) == (case.department, case.stage)
        assert (said["to_do"] is not None) == (case.stage in (CaseStage.OPEN, CaseStage.ACCEPTED))
        assert (said["latest_end"] is not None) == (case.stage in (CaseStage.RESOLVED, CaseStage.REJECTED, CaseStage.CANCELLED))
        assert workload(case) == ([f"{case.department}/{case.stage}"] if said["to_do"] is not None else [])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_a_decision_ends_what_made_the_row_due(steps: list[Any]):
    for case in chapters(steps):
        assert not shown(after(case, decided(OPEN, case)))["to_open"]
        assert not shown(after(case, decided(CANCEL, case)))["to_cancel"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_the_projection_names_every_field_that_its_rows_look_at(steps: list[Any]):
    """Made through the spine, which shows a projection no others, the rows are the same."""
    for case in chapters(steps):
        found = changes(AGGREGATE, "complaint/1", None, (case.observed, case.own))
        assert [each[1:] for each in found.came[CASES]] == row(case)
        assert {key for _, key in found.counts} == set(workload(case))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(-(10**7), 10**7)), min_size=2, max_size=20))
def test_the_most_urgent_comes_first_and_then_the_oldest(waiting: list[tuple[int, bool, int]]):
    cases = []
    for cycle, major, seconds in waiting:
        registered = say.registered().model_copy(update={"received_at": NOON + timedelta(seconds=seconds)})
        known = [registered, say.routed(), say.reclassified("major" if major else "normal"), *([say.reopened(cycle)] if cycle > 1 else [])]
        case = chapters(known)[-1]
        cases.append(after(case, [say.opened(cycle)]))
    places = [shown(case)["to_do"] for case in cases]
    wanted = [(-case.urgency, case.observed.registration.received_at) for case in cases if case.observed.registration]
    assert sorted(range(len(cases)), key=lambda n: (places[n], n)) == sorted(range(len(cases)), key=lambda n: (wanted[n], n))


def test_an_accepted_case_is_in_its_departments_list():
    story = Spec(HANDLING, AGGREGATE).given(say.registered(), say.routed(), say.opened(), say.accepted())
    assert story.shows(CASES) == [
        {**SHAPE, "department": "technical_support", "stage": "accepted", "to_do": urgent_then_oldest(story.state)}
    ]
    assert story.counts("workload") == {"technical_support/accepted"}
    assert Spec(HANDLING, AGGREGATE).given(say.registered()).shows(CASES) == []


def test_the_place_in_the_list_is_a_number_that_its_column_takes():
    for received, urgency in ((datetime(1, 1, 1, tzinfo=UTC), 10**9), (datetime(9999, 12, 31, tzinfo=UTC), 0)):
        registered = say.registered().model_copy(update={"received_at": received})
        reopened = say.reopened(2).model_copy(update={"urgency": urgency})
        assert abs(urgent_then_oldest(chapters([registered, reopened])[-1])) < 2**63
