"""The department's steps: what each leads to, and what it is refused for."""

from dataclasses import is_dataclass
from datetime import timedelta
from functools import partial

import pytest

from redress_events.contracts import HANDLING
from redress_events.contracts.handling import (
    CaseAccepted,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    CustomerContacted,
    ProgressReported,
)
from redress_events.event import SKEW
from redress_handling import api
from redress_handling.domain.accept import Accept, accept
from redress_handling.domain.aggregate import AGGREGATE
from redress_handling.domain.case import Case
from redress_handling.domain.contact import ContactCustomer, contact
from redress_handling.domain.progress import ReportProgress, report_progress
from redress_handling.domain.reject import Reject, reject
from redress_handling.domain.resolve import Resolve, resolve
from redress_handling.domain.transfer import TransferCase, transfer
from redress_handling.testing import (
    RECEIVED,
    accepted,
    cancelled,
    chased,
    closed,
    contacted,
    opened,
    registered,
    rejected,
    reopened,
    resolved,
    routed,
    supplemented,
    transferred,
)
from redress_spine.testing import NOON, Spec

handling = Spec(
    HANDLING,
    AGGREGATE,
    {
        Accept: accept,
        ContactCustomer: contact,
        ReportProgress: report_progress,
        TransferCase: partial(transfer, departments=frozenset({"technical_support", "finance", "consulting"})),
        Resolve: resolve,
        Reject: reject,
    },
)
RESOLVE = Resolve("a cell was off", "switched it on", "radio planning", "phone")
REJECT = Reject("there is no contract with us", "letter")
STEPS = [Accept(), ContactCustomer("phone"), ReportProgress("measured"), TransferCase("finance", "a bill"), RESOLVE, REJECT]
AUTOMATIONS = [step for step in STEPS if not isinstance(step, Accept | TransferCase)]


def story(*happened):
    return handling.given(registered(), routed(), *happened).by("handler:alice", "handler", department="technical_support")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_without_a_case(step):
    story().when(step).refused("no-case")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_between_reopening_and_the_new_case(step):
    story(opened(), accepted(), contacted(), resolved(), reopened()).when(step).refused("no-case")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_once_the_complaint_is_closed(step):
    story(opened(), accepted(), closed()).when(step).refused("complaint-closed")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_once_the_case_was_cancelled(step):
    story(opened(), accepted(), cancelled()).when(step).refused("case-ended")


@pytest.mark.parametrize("step", AUTOMATIONS)
def test_the_department_accepts_before_it_works(step):
    story(opened()).when(step).refused("case-not-accepted")


@pytest.mark.parametrize("step", AUTOMATIONS)
def test_the_new_department_accepts_before_it_works(step):
    story(opened(), accepted(), routed("finance", routing=2)).when(step).refused("case-not-accepted")


def test_a_case_is_accepted_where_it_is():
    story(opened()).when(Accept()).then(CaseAccepted(cycle=1, handler="alice", routing=1, transfer=0))
    moved = story(opened(), accepted("bob"), transferred())
    moved.when(Accept()).then(CaseAccepted(cycle=1, handler="alice", routing=1, transfer=1))


def test_accepting_twice_is_accepting_once():
    story(opened(), accepted("alice")).when(Accept()).then_nothing()


def test_a_supervisor_takes_over_what_another_accepted():
    other = story(opened(), accepted("bob")).by("supervisor:carol", "supervisor")
    other.when(Accept()).then(CaseAccepted(cycle=1, handler="carol", routing=1))


DOMAIN = "redress_handling.domain."
BOB, CAROL = "handler:bob", "supervisor:carol"
DEPARTMENT = "technical_support"
UNACCEPTED, WORKED_ON = [opened()], [opened(), accepted("alice"), contacted()]
# Who may take each step on a case that alice has accepted, by the actor, their roles and their department.
MAY: dict[str, tuple[str, tuple[str, ...], str | None, bool]] = {
    "they who accepted it": ("handler:alice", ("handler",), DEPARTMENT, True),
    "a colleague": (BOB, ("handler",), DEPARTMENT, False),
    "a supervisor of the department": (CAROL, ("supervisor",), DEPARTMENT, True),
    "a handler who is a supervisor of the department too": (BOB, ("handler", "supervisor"), DEPARTMENT, True),
    "a supervisor of all departments": (CAROL, ("supervisor",), None, True),
    "a supervisor of another department": (CAROL, ("supervisor",), "finance", False),
}


def test_the_table_of_steps_has_every_command():
    assert {type(step) for step in STEPS} == set(handling.deciders) == commands()


def commands() -> set[type]:
    """Every command that the API decides, as its module names it."""
    return {each for each in vars(api).values() if isinstance(each, type) and is_dataclass(each) and each.__module__.startswith(DOMAIN)} - {
        Case
    }


@pytest.mark.parametrize("who", MAY)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_what_a_handler_accepted_is_theirs_and_their_supervisors(step, who):
    actor, roles, department, may = MAY[who]
    outcome = handling.given(registered(), routed(), *WORKED_ON).by(actor, *roles, department=department).when(step)
    if may:
        assert outcome.refusal is None, outcome.refusal
    else:
        outcome.refused("accepted-by-another")


@pytest.mark.parametrize("step", [Accept(), TransferCase("finance", "a bill")], ids=lambda step: type(step).__name__)
def test_what_nobody_has_accepted_is_everybodys_in_the_department(step):
    assert story(*UNACCEPTED).by(BOB, "handler", department=DEPARTMENT).when(step).events


@pytest.mark.parametrize("step", AUTOMATIONS, ids=lambda step: type(step).__name__)
def test_a_supervisor_who_took_a_case_over_keeps_it_from_those_who_had_it(step):
    taken = story(opened(), accepted("alice"), accepted("carol"), contacted())
    taken.when(step).refused("accepted-by-another")


@pytest.mark.parametrize(("step", "end"), [(RESOLVE, resolved()), (REJECT, rejected())])
def test_a_colleague_who_says_again_how_a_case_ended_is_told_that_it_has(step, end):
    story(opened(), accepted("bob"), contacted(), end).when(step).refused("case-ended")


def test_a_contact_was_just_now_unless_it_says_when():
    working = story(opened(), accepted())
    working.when(ContactCustomer("phone", note="rang")).then(CustomerContacted(cycle=1, means="phone", contacted_at=NOON, note="rang"))
    earlier = NOON - timedelta(minutes=20)
    working.when(ContactCustomer("visit", earlier)).then(CustomerContacted(cycle=1, means="visit", contacted_at=earlier))


def test_a_contact_lies_between_the_cycles_beginning_and_now():
    working = story(opened(), accepted())
    working.when(ContactCustomer("phone", NOON + SKEW + timedelta(seconds=1))).refused("contact-in-future")
    working.when(ContactCustomer("phone", RECEIVED - SKEW - timedelta(seconds=1))).refused("contact-too-early")
    again = story(opened(), contacted(), resolved(), (reopened(), NOON), opened(2), accepted(cycle=2)).at(NOON + timedelta(hours=1))
    again.when(ContactCustomer("phone", NOON - SKEW - timedelta(minutes=1))).refused("contact-too-early")


@pytest.mark.parametrize("off", [timedelta(seconds=1), SKEW])
def test_a_handlers_clock_that_is_off_a_little_is_forgiven(off):
    working = story(opened(), accepted())
    working.when(ContactCustomer("phone", NOON + off)).then(CustomerContacted(cycle=1, means="phone", contacted_at=NOON))
    working.when(ContactCustomer("phone", RECEIVED - off)).then(CustomerContacted(cycle=1, means="phone", contacted_at=RECEIVED))


def test_progress_is_reported():
    story(opened(), accepted()).when(ReportProgress("measured")).then(ProgressReported(cycle=1, note="measured"))


def test_a_case_is_transferred_for_the_routing_it_answers():
    working = story(opened(), accepted())
    first = working.when(TransferCase("finance", "a bill"))
    first.then(CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="a bill"))
    first.after.when(TransferCase("consulting", "a question")).then(
        CaseTransferred(cycle=1, routing=1, transfer=2, department="consulting", reason="a question")
    )


def test_a_transfer_after_a_new_routing_answers_that():
    story(opened(), transferred(), routed("technical_support", routing=2)).when(TransferCase("consulting", "a question")).then(
        CaseTransferred(cycle=1, routing=2, transfer=2, department="consulting", reason="a question")
    )


def test_what_came_to_the_wrong_department_need_not_be_accepted_to_be_passed_on():
    story(opened()).when(TransferCase("finance", "a bill")).then(
        CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="a bill")
    )


def test_a_case_goes_to_another_department_that_exists():
    working = story(opened(), accepted())
    working.when(TransferCase("technical_support", "?")).refused("same-department")
    working.when(TransferCase("space_travel", "?")).refused("unknown-department")


def test_a_case_is_resolved_once_the_customer_was_contacted():
    story(opened(), accepted(), contacted()).when(RESOLVE).then(
        CaseResolved(
            cycle=1,
            department="technical_support",
            cause="a cell was off",
            measures="switched it on",
            responsible_unit="radio planning",
            told_customer="phone",
            by="alice",
        )
    )


@pytest.mark.parametrize("step", [RESOLVE, REJECT])
def test_the_end_of_a_case_tells_how_much_of_the_customers_later_words_was_known(step):
    (ended,) = story(supplemented(), chased(), opened(), accepted(), contacted(), chased(2)).when(step).events
    assert isinstance(ended, CaseResolved | CaseRejected) and ended.said == 3


def test_nobody_resolves_a_case_behind_the_customers_back():
    story(opened(), accepted()).when(RESOLVE).refused("customer-not-contacted")
    again = story(opened(), accepted(), contacted(), resolved(), reopened(), opened(2), accepted(cycle=2))
    again.when(RESOLVE).refused("customer-not-contacted")


def test_resolving_twice_is_resolving_once():
    story(opened(), accepted(), contacted(), resolved()).when(RESOLVE).then_nothing()
    story(opened(), accepted(), contacted(), rejected()).when(RESOLVE).refused("case-ended")


def test_a_case_is_rejected_with_a_reason():
    story(opened(), accepted()).when(REJECT).then(
        CaseRejected(cycle=1, department="technical_support", reason="there is no contract with us", told_customer="letter", by="alice")
    )


def test_rejecting_twice_is_rejecting_once():
    story(opened(), accepted(), rejected()).when(REJECT).then_nothing()
    story(opened(), accepted(), contacted(), resolved()).when(REJECT).refused("case-ended")
