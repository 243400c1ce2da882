"""Where a complaint stands, as its customer sees it, folded from what all services say."""

from datetime import timedelta
from typing import Any

import pytest

from redress_events.classification import Classification
from redress_events.contracts import INTAKE
from redress_events.contracts.callback import (
    CallbackAttempted,
    CallbackScheduled,
    ComplaintClosed,
    ComplaintReopened,
    SatisfactionRecorded,
)
from redress_events.contracts.handling import (
    CaseAccepted,
    CaseCancelled,
    CaseOpened,
    CaseRejected,
    CaseResolved,
    CaseTransferred,
    CustomerContacted,
    ProgressReported,
)
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.history import SAID, STAGES
from redress_intake.domain.observed import Observed, VisitProgress, observe
from redress_intake.domain.own import evolve
from redress_spine.store.states import Codec
from redress_spine.testing import NOON, folded, listed

WEEK, SECOND = timedelta(days=7), timedelta(seconds=1)
TAXONOMY: dict[str, Any] = {"sub_category": "speed", "taxonomy": "telecom@1"}
REGISTERED = ComplaintRegistered(
    number="0000-0000-000",
    channel="web",
    kind="complaint",
    received_at=NOON,
    text="intake/1/text",
    phone="intake/1/phone",
    product="fibre",
    since=NOON - WEEK,
    attachments=("photo-1",),
)
CLASSIFIED = ComplaintClassified(
    classification=1, category="service_quality", kind="fault-report", severity="normal", confidence=0.9, **TAXONOMY
)
ROUTED = ComplaintRouted(routing=1, department="technical-support", queue="network")
OPENED = CaseOpened(cycle=1, routing=1, department="technical-support")
ACCEPTED = CaseAccepted(cycle=1, handler="wang", routing=1)
CONTACTED = CustomerContacted(cycle=1, means="phone", contacted_at=NOON)
PROGRESS = ProgressReported(cycle=1, note="handling/4/note")
RESOLVED = CaseResolved(
    cycle=1,
    department="technical-support",
    cause="handling/5/cause",
    measures="handling/5/measures",
    responsible_unit="network",
    told_customer="phone",
)
REJECTED = CaseRejected(cycle=1, department="technical-support", reason="handling/5/reason", told_customer="phone")
SCHEDULED = CallbackScheduled(cycle=1, outcome="resolved", due_at=NOON + WEEK)
UNSATISFIED = SatisfactionRecorded(cycle=1, solved=False, score=2)
REOPENED = ComplaintReopened(cycle=2, urgency=1)
CLOSED = ComplaintClosed(cycle=1, reason="satisfied")
WITHDRAWN = ComplaintWithdrawn(withdrawal=1, reason="intake/2/reason")
WHOLE_WAY = (REGISTERED, CLASSIFIED, ROUTED, OPENED, ACCEPTED, CONTACTED, PROGRESS, RESOLVED, SCHEDULED, UNSATISFIED, REOPENED)


def complaint(*events: Event) -> Complaint:
    found = folded(INTAKE, AGGREGATE, events)
    assert isinstance(found, Complaint)
    return found


@pytest.mark.parametrize(
    ("so_far", "stage"),
    [
        (1, "registered"),
        (2, "classified"),
        (3, "routed"),
        (4, "routed"),
        (5, "in-handling"),
        (6, "contacted"),
        (7, "contacted"),
        (8, "resolved"),
        (9, "being-visited"),
        (10, "being-visited"),
        (11, "reopened"),
    ],
)
def test_each_step_is_a_stage(so_far: int, stage: str):
    assert complaint(*WHOLE_WAY[:so_far]).stage == stage


def test_the_whole_way_is_told_with_its_cycles():
    second = CaseOpened(cycle=2, routing=1, department="technical-support", urgency=1)
    whole = [*WHOLE_WAY, second, ComplaintClosed(cycle=2, reason="unreachable")]
    history = listed(INTAKE, AGGREGATE, [(event, NOON + n * SECOND) for n, event in enumerate(whole)])
    told = [(entry.data["stage"], entry.data.get("cycle")) for entry in sorted(history[STAGES].entries, key=lambda each: each.place)]
    contacted = told.pop(0)  # at the time that the handler gave
    assert contacted == ("contacted", 1)
    assert told == [
        ("classified", None),
        ("routed", None),
        ("in-handling", 1),
        ("progress-reported", 1),
        ("resolved", 1),
        ("being-visited", 1),
        ("reopened", 2),
        ("routed", 2),
        ("closed", 2),
    ]


def test_a_stage_has_the_time_of_its_event_and_a_contact_the_time_it_was_had():
    early, late = NOON - WEEK, NOON + WEEK
    observed = observe(observe(Observed(), CONTACTED, late), RESOLVED, late)
    assert observed.reached == {1: {"contacted": NOON, "resolved": late}}
    assert evolve(AGGREGATE.state().own, REGISTERED, early).registered_at == early
    (contact,) = listed(INTAKE, AGGREGATE, [(CONTACTED, late)])[STAGES].entries
    assert contact.at == NOON


def test_stages_of_earlier_cycles_are_history():
    second = CaseOpened(cycle=2, routing=1, department="technical-support", urgency=1)
    assert list(complaint(*WHOLE_WAY, second).observed.reached) == [2]
    ahead = complaint(REGISTERED, second, ACCEPTED.model_copy(update={"cycle": 2}))
    assert (ahead.stage, ahead.observed.handler) == ("registered", None), "we have not learned of a second cycle yet"
    there = complaint(REGISTERED, second, ACCEPTED.model_copy(update={"cycle": 2}), CLASSIFIED, ROUTED, REOPENED)
    assert (there.stage, there.observed.handler) == ("in-handling", "wang")


def test_a_complaint_that_comes_back_for_ever_stays_small():
    codec, found = Codec(AGGREGATE), AGGREGATE.state()
    observed, own = found.observed, found.own
    for cycle in range(1, 300):
        opened = CaseOpened(cycle=cycle, routing=1, department="technical-support")
        steps = [step.model_copy(update={"cycle": cycle}) for step in (ACCEPTED, CONTACTED, RESOLVED, SCHEDULED)]
        for event in (opened, *steps, ComplaintReopened(cycle=cycle + 1, urgency=cycle)):
            observed = observe(observed, event, NOON)
        own = evolve(own, ComplaintSupplemented(supplement=cycle, text=f"intake/{cycle}/text", attachments=("photo",) * 20), NOON)
        own = evolve(own, ComplaintChased(chase=cycle), NOON)
    assert len(codec.dump_observed(observed)) + len(codec.dump_own(own)) < 1_000
    assert (own.supplements, own.attached, own.chases, own.worded) == (299, 299 * 20, 299, 299)


def test_closed_is_a_matter_of_cycles():
    assert complaint(*WHOLE_WAY[:9], CLOSED).stage == "closed"
    assert not complaint(*WHOLE_WAY[:9], CLOSED, REOPENED).closed
    assert complaint(*WHOLE_WAY[:9], CLOSED, REOPENED).stage == "reopened"


def test_a_rejected_complaint_says_so():
    assert complaint(REGISTERED, ROUTED, ACCEPTED, REJECTED).stage == "rejected"


def test_a_new_routing_takes_nothing_back():
    moved = complaint(*WHOLE_WAY[:8], ComplaintRouted(routing=2, department="finance", queue="refunds", by="person"))
    assert (moved.stage, moved.observed.department, moved.observed.handler) == ("resolved", "finance", None)


def test_a_proposal_that_waits_for_a_person_is_no_class_yet():
    unsure = complaint(REGISTERED, CLASSIFIED.model_copy(update={"review": True, "confidence": 0.2}))
    assert (unsure.stage, unsure.observed.classification, unsure.kind) == ("registered", None, "complaint")


def test_a_person_has_the_last_word_on_what_it_is():
    corrected = complaint(
        REGISTERED,
        CLASSIFIED,
        ComplaintReclassified(
            classification=2, category="billing_dispute", kind="consultation", severity="serious", reason="triage/3/reason", **TAXONOMY
        ),
    )
    assert corrected.observed.classification == Classification("billing_dispute", "speed", "consultation", "serious")
    assert corrected.kind == "consultation"


def test_a_transfer_holds_only_for_the_routing_it_names():
    transfer = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/4/reason")
    assert complaint(ROUTED, ACCEPTED, transfer).observed.department == "finance"
    assert complaint(ROUTED, ACCEPTED, transfer).observed.handler is None
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(ROUTED, rerouted, transfer).observed.department == "customer-service"


def test_who_accepted_it_where_it_no_longer_is_does_not_have_it():
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(ROUTED, rerouted, ACCEPTED).observed.handler is None
    transfer = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/4/reason")
    there = CaseAccepted(cycle=1, handler="zhao", routing=1, transfer=1)
    assert complaint(ROUTED, ACCEPTED, transfer, there).observed.handler == "zhao"


def test_a_second_cycle_goes_where_its_case_is_unless_a_newer_routing_beats_it():
    second = CaseOpened(cycle=2, routing=1, department="finance", urgency=1)
    assert complaint(*WHOLE_WAY, second).observed.department == "finance"
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(*WHOLE_WAY, rerouted, second).observed.department == "customer-service"


def test_the_visit_of_the_latest_cycle_is_known():
    missed = CallbackAttempted(cycle=1, attempt=1, reached=False, next_at=NOON + 2 * WEEK)
    assert complaint(SCHEDULED, missed).observed.visit == VisitProgress(1, NOON + 2 * WEEK, 1)
    reached = CallbackAttempted(cycle=1, attempt=2, reached=True)
    assert complaint(SCHEDULED, missed, reached, UNSATISFIED).observed.visit == VisitProgress(1, None, 2, False, 2)
    again = CallbackScheduled(cycle=2, outcome="resolved", due_at=NOON)
    assert complaint(SCHEDULED, missed, reached, UNSATISFIED, again).observed.visit == VisitProgress(2, NOON)
    assert complaint(again, missed).observed.visit == VisitProgress(2, NOON)


def test_a_wish_to_withdraw_stands_until_it_is_answered():
    wished = complaint(REGISTERED, CLASSIFIED, WITHDRAWN)
    assert (wished.stage, wished.withdrawal_pending) == ("withdrawal-pending", True)
    assert wished.own.withdrawn_at == NOON
    answered = complaint(REGISTERED, WITHDRAWN, ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=1))
    assert (answered.stage, answered.withdrawal_pending) == ("closed", False)
    assert not complaint(REGISTERED, WITHDRAWN, ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=1), REOPENED).withdrawal_pending


def test_what_was_given_is_kept_and_words_only_as_references():
    supplemented = ComplaintSupplemented(supplement=1, text="intake/2/text", attachments=("photo-2",))
    told = [REGISTERED, supplemented, ComplaintChased(chase=1), ComplaintChased(chase=2, text="intake/4/text"), WITHDRAWN]
    own = complaint(*told).own
    assert own.personal == {"text": "intake/1/text", "phone": "intake/1/phone"}
    assert (own.supplements, own.attached, own.chases, own.worded, own.withdrawal) == (1, 1, 2, 2, 1)
    assert (own.chased_first_at, own.chased_at) == (NOON, NOON)
    said = sorted((entry.data for entry in listed(INTAKE, AGGREGATE, told)[SAID].entries), key=lambda data: data["what"])
    assert said == [
        {"what": "chase", "n": 2, "words": "intake/4/text"},
        {"what": "supplement", "n": 1, "words": "intake/2/text", "attachments": ["photo-2"]},
        {"what": "withdrawal", "n": 1, "words": "intake/2/reason"},
    ], "a chase without words is counted, and has no row"


def test_what_is_of_no_concern_changes_nothing():
    cancelled = CaseCancelled(cycle=1, reason="withdrawn")
    assert observe(Observed(), cancelled, NOON) == Observed()
    assert evolve(Complaint().own, cancelled, NOON) == Complaint().own
    assert not Complaint().registered


def test_the_state_survives_being_stored_and_what_is_usual_takes_no_room():
    codec = Codec(AGGREGATE)
    full = complaint(*WHOLE_WAY, WITHDRAWN)
    assert codec.load_observed(codec.dump_observed(full.observed)) == full.observed
    assert codec.load_own(codec.dump_own(full.own)) == full.own
    assert (codec.dump_observed(Observed()), codec.dump_own(Complaint().own)) == ("{}", "{}")
