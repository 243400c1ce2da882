"""Every open complaint has somebody who has its next step, all the way through."""

from datetime import timedelta

import pytest

from redress_events.contracts import INTAKE
from redress_events.contracts.callback import CallbackAttempted, CallbackScheduled, ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseAccepted, CaseOpened, CaseResolved, CaseTransferred, CustomerContacted
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.next_step import NORMAL, next_step
from redress_spine.testing import NOON, Happened, folded

DAY = timedelta(days=1)
REGISTERED = ComplaintRegistered(number="0000000000-0", channel="web", kind="complaint", received_at=NOON, text="intake/1/text")
ROUTED = ComplaintRouted(routing=1, department="technical_support", queue="network")
OPENED = CaseOpened(cycle=1, routing=1, department="technical_support")
RESOLVED = CaseResolved(
    cycle=1,
    department="technical_support",
    cause="handling/4/cause",
    measures="handling/4/measures",
    responsible_unit="field",
    told_customer="phone",
)
REROUTED = ComplaintRouted(routing=2, department="finance", queue="refunds", by="person")
TRANSFERRED = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/4/reason")
JOURNEY: list[tuple[Event, str]] = [
    (REGISTERED, "triage"),
    (ROUTED, "handling"),
    (OPENED, "department:technical_support"),
    (CaseAccepted(cycle=1, handler="li", routing=1), "department:technical_support"),
    (CustomerContacted(cycle=1, means="phone", contacted_at=NOON), "department:technical_support"),
    (RESOLVED, "callback"),
    (CallbackScheduled(cycle=1, outcome="resolved", due_at=NOON + DAY), "return-visit agents"),
    (CallbackAttempted(cycle=1, attempt=1, reached=False, next_at=NOON + DAY), "return-visit agents"),
    (CallbackAttempted(cycle=1, attempt=3, reached=False, give_up_at=NOON + DAY), "callback"),
    (ComplaintReopened(cycle=2, urgency=1), "handling"),
    (CaseOpened(cycle=2, routing=1, department="technical_support", urgency=1), "department:technical_support"),
    (ComplaintWithdrawn(withdrawal=1), "callback"),
]


def test_somebody_has_every_step_of_a_long_journey() -> None:
    for n, (_, owner) in enumerate(JOURNEY, 1):
        step = next_step(folded(INTAKE, AGGREGATE, [event for event, _ in JOURNEY[:n]]))
        assert step is not None and step.owner == owner and step.step and step.since == NOON


def test_nothing_is_pending_on_a_closed_complaint() -> None:
    events = [event for event, _ in JOURNEY]
    assert next_step(folded(INTAKE, AGGREGATE, [*events, ComplaintClosed(cycle=2, reason="withdrawn", withdrawal=1)])) is None


def test_a_due_visit_says_by_when() -> None:
    step = next_step(folded(INTAKE, AGGREGATE, [event for event, _ in JOURNEY[:7]]))
    assert step is not None and step.by == NOON + DAY


def test_no_department_owes_a_case_that_handling_has_not_opened_yet() -> None:
    step = next_step(folded(INTAKE, AGGREGATE, [REGISTERED, ROUTED, REROUTED]))
    assert step is not None and (step.owner, step.step) == ("handling", "open the case")


@pytest.mark.parametrize("so_far", range(1, len(JOURNEY) + 1))
def test_a_service_that_owes_for_longer_than_is_normal_is_stuck_and_people_are_not(so_far: int) -> None:
    step = next_step(folded(INTAKE, AGGREGATE, [event for event, _ in JOURNEY[:so_far]]))
    assert step is not None
    waits_for_a_date = "waiting time" in step.step
    assert step.stuck(NOON + NORMAL + timedelta(seconds=1)) is (step.owner in ("triage", "handling", "callback") and not waits_for_a_date)
    assert not step.stuck(NOON + NORMAL)


@pytest.mark.parametrize("word", [ComplaintSupplemented(supplement=1, text="intake/2/text"), ComplaintChased(chase=1)])
@pytest.mark.parametrize("place", range(1, 10))
def test_whoever_said_something_that_no_attempt_knew_is_owed_a_call(place: int, word: Event) -> None:
    events = [event for event, _ in JOURNEY[:9]]
    step = next_step(folded(INTAKE, AGGREGATE, [*events[:place], word, *events[place:]]))
    assert step is not None and (step.owner, step.step) == ("return-visit agents", "call the customer")
    known = CallbackAttempted(cycle=1, attempt=4, reached=False, give_up_at=NOON + DAY, said=1)
    step = next_step(folded(INTAKE, AGGREGATE, [*events[:place], word, *events[place:], known]))
    assert step is not None and step.owner == "callback"


@pytest.mark.parametrize("moved", [REROUTED, TRANSFERRED], ids=["rerouted", "transferred"])
@pytest.mark.parametrize("so_far", [4, 5], ids=["accepted", "contacted"])
def test_whoever_gets_a_case_that_others_worked_on_begins_with_accepting_it(so_far: int, moved: Event) -> None:
    events: list[Happened] = [event for event, _ in JOURNEY[:so_far]]
    there = folded(INTAKE, AGGREGATE, [*events, (moved, NOON + DAY)])
    step = next_step(there)
    assert step is not None
    assert (step.owner, step.step, step.since) == ("department:finance", "accept the case", NOON + DAY)


def test_an_acceptance_that_crossed_a_new_routing_settles_nothing_there() -> None:
    step = next_step(folded(INTAKE, AGGREGATE, [REGISTERED, ROUTED, OPENED, REROUTED, CaseAccepted(cycle=1, handler="li", routing=1)]))
    assert step is not None and (step.owner, step.step) == ("department:finance", "accept the case")
