"""Events as callback observes and says them, with plausible content, for tests."""

from __future__ import annotations

from datetime import datetime, timedelta

from redress_callback.domain.policy import VisitPolicy
from redress_events.contracts.callback import (
    CallbackAttempted,
    CallbackScheduled,
    CloseReason,
    ComplaintClosed,
    ComplaintReopened,
    SatisfactionRecorded,
)
from redress_events.contracts.handling import CaseAccepted, CaseRejected, CaseResolved, CaseTransferred, CustomerContacted
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented, ComplaintWithdrawn
from redress_events.contracts.sla_monitor import BreachAnnulled, ClockMet, ClockName, ClockStarted, DeadlineBreached
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_spine.testing import NOON

RECEIVED = NOON - timedelta(hours=3)
POLICY = VisitPolicy(first_attempt=timedelta(hours=24), attempts=3, spacing=timedelta(hours=4), give_up=timedelta(hours=24), lowest_score=2)


def registered(phone: str | None = "intake/1/phone") -> ComplaintRegistered:
    return ComplaintRegistered(
        number="7G2K-9QXR-4M",
        channel="hotline",
        kind="complaint",
        received_at=RECEIVED,
        product="fibre",
        area="shanghai-pudong",
        text="intake/1/text",
        phone=phone,
        address="intake/1/address",
    )


def supplemented(number: int = 1) -> ComplaintSupplemented:
    return ComplaintSupplemented(supplement=number, text="intake/2/text", attachments=("photo-1",))


def chased(number: int = 1, text: str | None = None) -> ComplaintChased:
    return ComplaintChased(chase=number, text=text)


def withdrawn(number: int = 1) -> ComplaintWithdrawn:
    return ComplaintWithdrawn(withdrawal=number)


def classified(review: bool = False) -> ComplaintClassified:
    return ComplaintClassified(
        classification=1,
        category="service_quality",
        sub_category="coverage",
        kind="fault-report",
        severity="normal",
        taxonomy="telecom@1",
        confidence=0.9,
        review=review,
    )


def reclassified() -> ComplaintReclassified:
    return ComplaintReclassified(
        classification=2,
        category="billing_dispute",
        sub_category="refund",
        kind="complaint",
        severity="serious",
        taxonomy="telecom@1",
        reason="triage/3/reason",
    )


def routed(department: str = "technical_support", routing: int = 1) -> ComplaintRouted:
    return ComplaintRouted(routing=routing, department=department, queue="network")


def transferred(department: str = "finance", routing: int = 1) -> CaseTransferred:
    return CaseTransferred(cycle=1, routing=routing, transfer=1, department=department, reason="handling/5/reason")


def resolved(cycle: int = 1, department: str = "technical_support", said: int = 0) -> CaseResolved:
    return CaseResolved(
        cycle=cycle,
        department=department,
        cause="handling/6/cause",
        measures="handling/6/measures",
        responsible_unit="radio planning",
        told_customer="phone",
        said=said,
    )


def rejected(cycle: int = 1) -> CaseRejected:
    return CaseRejected(cycle=cycle, department="technical_support", reason="handling/6/reason", told_customer="letter")


def accepted(cycle: int = 1) -> CaseAccepted:
    return CaseAccepted(cycle=cycle, handler="hanna", routing=1)


def contacted(cycle: int = 1, at: datetime = NOON) -> CustomerContacted:
    return CustomerContacted(cycle=cycle, means="phone", contacted_at=at)


def clock_started(clock: ClockName = "resolve", cycle: int = 1, n: int = 1, deadline: datetime = NOON) -> ClockStarted:
    return ClockStarted(
        clock=clock,
        cycle=cycle,
        n=n,
        policy="telecom-handbook@1",
        calendar="china@1",
        target="3 working days",
        starts_at=RECEIVED,
        deadline=deadline,
    )


def clock_met(clock: ClockName = "resolve", cycle: int = 1, n: int = 1, at: datetime = NOON, left: int = 3_600) -> ClockMet:
    return ClockMet(clock=clock, cycle=cycle, n=n, met_at=at, in_time=left >= 0, business_seconds_left=left)


def breached(clock: ClockName = "resolve", cycle: int = 1, n: int = 1) -> DeadlineBreached:
    return DeadlineBreached(clock=clock, cycle=cycle, n=n, deadline=NOON, noticed_at=NOON)


def annulled(clock: ClockName = "resolve", cycle: int = 1, n: int = 1, left: int = 0) -> BreachAnnulled:
    return BreachAnnulled(clock=clock, cycle=cycle, n=n, deadline=NOON, kept_at=NOON, business_seconds_left=left)


def scheduled(cycle: int = 1) -> CallbackScheduled:
    return CallbackScheduled(cycle=cycle, outcome="resolved", due_at=NOON + POLICY.first_attempt)


def missed(number: int = 1, cycle: int = 1, at: datetime = NOON, said: int = 0) -> CallbackAttempted:
    """Not reached, at this time. said: how many of the customer's later words were known."""
    if number < POLICY.attempts:
        return CallbackAttempted(cycle=cycle, attempt=number, reached=False, next_at=at + POLICY.spacing, said=said)
    return CallbackAttempted(cycle=cycle, attempt=number, reached=False, give_up_at=at + POLICY.give_up, said=said)


def reached(number: int = 1, cycle: int = 1, note: str | None = None, said: int = 0) -> CallbackAttempted:
    return CallbackAttempted(cycle=cycle, attempt=number, reached=True, note=note, said=said)


def answered(solved: bool = True, score: int = 5, cycle: int = 1) -> SatisfactionRecorded:
    return SatisfactionRecorded(cycle=cycle, solved=solved, score=score)


def reopened(cycle: int = 2) -> ComplaintReopened:
    return ComplaintReopened(cycle=cycle, urgency=cycle - 1)


def closed(cycle: int = 1, reason: CloseReason = "satisfied", withdrawal: int = 0) -> ComplaintClosed:
    return ComplaintClosed(cycle=cycle, reason=reason, withdrawal=withdrawal)
