"""The columns say, in every history, what the domain says: what is due, where a case is, and which is to be done first."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redress_events.facts import Context, Fact, Refused, Work
from redress_events.testing import NOON
from redress_handling import testing as say
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.case import KIND, Case, Stage
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_handling.work import CANCEL, OPEN

DEPARTMENTS = ["technical_support", "finance", "consulting"]
CYCLES = st.integers(1, 4)
STEPS: dict[type[Any], Any] = {
    Accept: accept,
    ContactCustomer: contact,
    TransferCase: partial(transfer, departments=frozenset(DEPARTMENTS)),
    Resolve: resolve,
    Reject: reject,
}
# What may come next: a foreign fact, some of them absurd; a step of the department, refused or not; or a turn of the work loop.
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
# To where a department works on it, so that this is not left to chance.
WORKING = [*START, say.routed(), OPEN, Accept()]
HISTORIES = st.tuples(st.sampled_from([START, WORKING]), st.lists(NEXT, max_size=25)).map(lambda parts: [*parts[0], *parts[1]])
COLUMNS = {
    "to_open": OPEN.due,
    "to_cancel": CANCEL.due,
    "department": "department",
    "stage": "stage",
    "to_do": "to_do",
    "ended": "latest_end",
}


def decided(step: Any, case: Case) -> list[Fact]:
    context = Context(now=NOON, actor="handler:alice", subject="complaint/1", roles=frozenset({"handler"}))
    try:
        return list(step.decide(case, context) if isinstance(step, Work) else STEPS[type(step)](case, step, context))
    except Refused:
        return []


def after(case: Case, facts: list[Fact]) -> Case:
    done = case.done
    for fact in facts:
        done = KIND.did(done, fact, NOON)
    return Case(case.heard, done)


def chapters(steps: list[Any]) -> list[Case]:
    """The state before and after each step."""
    cases = [Case()]
    for step in steps:
        case = cases[-1]
        if isinstance(step, Fact):
            cases.append(Case(KIND.hear(case.heard, step, NOON), case.done))
        else:
            cases.append(after(case, decided(step, case)))
    return cases


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_the_columns_say_what_the_domain_says(steps: list[Any], state: Any):
    cases = chapters(steps)
    for case, row in zip(cases, state.say(cases, **COLUMNS), strict=True):
        assert row["to_open"] == bool(decided(OPEN, case))
        assert row["to_cancel"] == bool(decided(CANCEL, case))
        assert (row["department"], row["stage"]) == (case.department, case.stage)
        assert (row["to_do"] is not None) == (case.stage in (Stage.OPEN, Stage.ACCEPTED))
        assert (row["ended"] is not None) == (case.stage in (Stage.RESOLVED, Stage.REJECTED, Stage.CANCELLED))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=HISTORIES)
def test_a_decision_ends_what_made_the_row_due(steps: list[Any], state: Any):
    cases = chapters(steps)
    opened, cancelled = ([after(case, decided(work, case)) for case in cases] for work in (OPEN, CANCEL))
    assert not any(row["to_open"] for row in state.say(opened, **COLUMNS))
    assert not any(row["to_cancel"] for row in state.say(cancelled, **COLUMNS))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.integers(-(10**7), 10**7)), min_size=2, max_size=20))
def test_the_most_urgent_comes_first_and_then_the_oldest(state: Any, waiting: list[tuple[int, bool, int]]):
    cases = []
    for cycle, major, seconds in waiting:
        registered = say.registered().model_copy(update={"received_at": NOON + timedelta(seconds=seconds)})
        known = [registered, say.routed(), say.reclassified("major" if major else "normal"), *([say.reopened(cycle)] if cycle > 1 else [])]
        case = chapters(known)[-1]
        cases.append(after(case, [say.opened(cycle)]))
    places = [row["to_do"] for row in state.say(cases, **COLUMNS)]
    wanted = [(-case.urgency, case.heard.registration.received_at) for case in cases if case.heard.registration]
    assert sorted(range(len(cases)), key=lambda n: (places[n], n)) == sorted(range(len(cases)), key=lambda n: (wanted[n], n))
