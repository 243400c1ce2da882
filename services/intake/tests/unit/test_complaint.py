"""Where a complaint stands, as its customer sees it, folded from what all services say."""

from datetime import timedelta
from typing import Any

import pytest

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
from redress_events.event import Fact
from redress_intake.domain.complaint import KIND, Complaint
from redress_intake.domain.done import did
from redress_intake.domain.heard import Classification, Heard, Visit, hear
from redress_intake.domain.history import SAID, STAGES
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


def complaint(*facts: Fact) -> Complaint:
    found = folded(INTAKE, KIND, facts)
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
    history = listed(INTAKE, KIND, [(fact, NOON + n * SECOND) for n, fact in enumerate(whole)])
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


def test_a_stage_has_the_time_of_its_fact_and_a_contact_the_time_it_was_had():
    early, late = NOON - WEEK, NOON + WEEK
    heard = hear(hear(Heard(), CONTACTED, late), RESOLVED, late)
    assert heard.reached == {1: {"contacted": NOON, "resolved": late}}
    assert did(KIND.state().done, REGISTERED, early).registered_at == early
    (contact,) = listed(INTAKE, KIND, [(CONTACTED, late)])[STAGES].entries
    assert contact.at == NOON


def test_stages_of_earlier_cycles_are_history():
    second = CaseOpened(cycle=2, routing=1, department="technical-support", urgency=1)
    assert list(complaint(*WHOLE_WAY, second).heard.reached) == [2]
    ahead = complaint(REGISTERED, second, ACCEPTED.model_copy(update={"cycle": 2}))
    assert (ahead.stage, ahead.heard.handler) == ("registered", None), "we have not heard of a second cycle yet"
    there = complaint(REGISTERED, second, ACCEPTED.model_copy(update={"cycle": 2}), CLASSIFIED, ROUTED, REOPENED)
    assert (there.stage, there.heard.handler) == ("in-handling", "wang")


def test_a_complaint_that_comes_back_for_ever_stays_small():
    codec, found = Codec(KIND), KIND.state()
    heard, done = found.heard, found.done
    for cycle in range(1, 300):
        opened = CaseOpened(cycle=cycle, routing=1, department="technical-support")
        steps = [step.model_copy(update={"cycle": cycle}) for step in (ACCEPTED, CONTACTED, RESOLVED, SCHEDULED)]
        for fact in (opened, *steps, ComplaintReopened(cycle=cycle + 1, urgency=cycle)):
            heard = hear(heard, fact, NOON)
        done = did(done, ComplaintSupplemented(supplement=cycle, text=f"intake/{cycle}/text", attachments=("photo",) * 20), NOON)
        done = did(done, ComplaintChased(chase=cycle), NOON)
    assert len(codec.dump_heard(heard)) + len(codec.dump_done(done)) < 1_000
    assert (done.supplements, done.attached, done.chases, done.worded) == (299, 299 * 20, 299, 299)


def test_closed_is_a_matter_of_cycles():
    assert complaint(*WHOLE_WAY[:9], CLOSED).stage == "closed"
    assert not complaint(*WHOLE_WAY[:9], CLOSED, REOPENED).closed
    assert complaint(*WHOLE_WAY[:9], CLOSED, REOPENED).stage == "reopened"


def test_a_rejected_complaint_says_so():
    assert complaint(REGISTERED, ROUTED, ACCEPTED, REJECTED).stage == "rejected"


def test_a_new_routing_takes_nothing_back():
    moved = complaint(*WHOLE_WAY[:8], ComplaintRouted(routing=2, department="finance", queue="refunds", by="person"))
    assert (moved.stage, moved.heard.department, moved.heard.handler) == ("resolved", "finance", None)


def test_a_proposal_that_waits_for_a_person_is_no_class_yet():
    unsure = complaint(REGISTERED, CLASSIFIED.model_copy(update={"review": True, "confidence": 0.2}))
    assert (unsure.stage, unsure.heard.classification, unsure.kind) == ("registered", None, "complaint")


def test_a_person_has_the_last_word_on_what_it_is():
    corrected = complaint(
        REGISTERED,
        CLASSIFIED,
        ComplaintReclassified(
            classification=2, category="billing_dispute", kind="consultation", severity="serious", reason="triage/3/reason", **TAXONOMY
        ),
    )
    assert corrected.heard.classification == Classification(2, "billing_dispute", "speed", "serious", "consultation", NOON)
    assert corrected.kind == "consultation"


def test_a_transfer_holds_only_for_the_routing_it_names():
    transfer = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/4/reason")
    assert complaint(ROUTED, ACCEPTED, transfer).heard.department == "finance"
    assert complaint(ROUTED, ACCEPTED, transfer).heard.handler is None
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(ROUTED, rerouted, transfer).heard.department == "customer-service"


def test_who_accepted_it_where_it_no_longer_is_does_not_have_it():
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(ROUTED, rerouted, ACCEPTED).heard.handler is None
    transfer = CaseTransferred(cycle=1, routing=1, transfer=1, department="finance", reason="handling/4/reason")
    there = CaseAccepted(cycle=1, handler="zhao", routing=1, transfer=1)
    assert complaint(ROUTED, ACCEPTED, transfer, there).heard.handler == "zhao"


def test_a_second_cycle_goes_where_its_case_is_unless_a_newer_routing_beats_it():
    second = CaseOpened(cycle=2, routing=1, department="finance", urgency=1)
    assert complaint(*WHOLE_WAY, second).heard.department == "finance"
    rerouted = ComplaintRouted(routing=2, department="customer-service", queue="front", by="person")
    assert complaint(*WHOLE_WAY, rerouted, second).heard.department == "customer-service"


def test_the_visit_of_the_latest_cycle_is_known():
    missed = CallbackAttempted(cycle=1, attempt=1, reached=False, next_at=NOON + 2 * WEEK)
    assert complaint(SCHEDULED, missed).heard.visit == Visit(1, NOON + 2 * WEEK, 1)
    reached = CallbackAttempted(cycle=1, attempt=2, reached=True)
    assert complaint(SCHEDULED, missed, reached, UNSATISFIED).heard.visit == Visit(1, None, 2, False, 2)
    again = CallbackScheduled(cycle=2, outcome="resolved", due_at=NOON)
    assert complaint(SCHEDULED, missed, reached, UNSATISFIED, again).heard.visit == Visit(2, NOON)
    assert complaint(again, missed).heard.visit == Visit(2, NOON)


def test_a_wish_to_withdraw_stands_until_it_is_answered():
    wished = complaint(REGISTERED, CLASSIFIED, WITHDRAWN)
    assert (wished.stage, wished.withdrawal_pending) == ("withdrawal-pending", True)
    assert wished.done.withdrawn_at == NOON
    answered = complaint(REGISTERED, WITHDRAWN, ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=1))
    assert (answered.stage, answered.withdrawal_pending) == ("closed", False)
    assert not complaint(REGISTERED, WITHDRAWN, ComplaintClosed(cycle=1, reason="withdrawn", withdrawal=1), REOPENED).withdrawal_pending


def test_what_was_given_is_kept_and_words_only_as_references():
    supplemented = ComplaintSupplemented(supplement=1, text="intake/2/text", attachments=("photo-2",))
    told = [REGISTERED, supplemented, ComplaintChased(chase=1), ComplaintChased(chase=2, text="intake/4/text"), WITHDRAWN]
    done = complaint(*told).done
    assert done.personal == {"text": "intake/1/text", "phone": "intake/1/phone"}
    assert (done.supplements, done.attached, done.chases, done.worded, done.withdrawal) == (1, 1, 2, 2, 1)
    assert (done.chased_first_at, done.chased_at) == (NOON, NOON)
    said = sorted((entry.data for entry in listed(INTAKE, KIND, told)[SAID].entries), key=lambda data: data["what"])
    assert said == [
        {"what": "chase", "n": 2, "words": "intake/4/text"},
        {"what": "supplement", "n": 1, "words": "intake/2/text", "attachments": ["photo-2"]},
        {"what": "withdrawal", "n": 1, "words": "intake/2/reason"},
    ], "a chase without words is counted, and has no row"


def test_what_is_of_no_concern_changes_nothing():
    cancelled = CaseCancelled(cycle=1, reason="withdrawn")
    assert hear(Heard(), cancelled, NOON) == Heard()
    assert did(Complaint().done, cancelled, NOON) == Complaint().done
    assert not Complaint().registered


def test_the_state_survives_being_stored_and_what_is_usual_takes_no_room():
    codec = Codec(KIND)
    full = complaint(*WHOLE_WAY, WITHDRAWN)
    assert codec.load_heard(codec.dump_heard(full.heard)) == full.heard
    assert codec.load_done(codec.dump_done(full.done)) == full.done
    assert (codec.dump_heard(Heard()), codec.dump_done(Complaint().done)) == ("{}", "{}")
