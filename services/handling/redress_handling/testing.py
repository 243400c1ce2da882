"""Events as handling observes and says them, with plausible content, for tests."""

from __future__ import annotations

from datetime import timedelta

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened, SatisfactionRecorded
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
from redress_events.contracts.intake import ComplaintChased, ComplaintRegistered, ComplaintSupplemented
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted, Severity
from redress_spine.testing import NOON

RECEIVED = NOON - timedelta(hours=3)


def registered(text: str = "intake/1/text", phone: str | None = "intake/1/phone") -> ComplaintRegistered:
    return ComplaintRegistered(number="7G2K-9QXR-4M", channel="hotline", kind="complaint", received_at=RECEIVED, text=text, phone=phone)


def supplemented(number: int = 1) -> ComplaintSupplemented:
    return ComplaintSupplemented(supplement=number, text=f"intake/{number + 1}/text")


def chased(number: int = 1) -> ComplaintChased:
    return ComplaintChased(chase=number)


def classified(severity: Severity = "normal") -> ComplaintClassified:
    return ComplaintClassified(
        classification=1,
        category="service_quality",
        sub_category="coverage",
        kind="complaint",
        severity=severity,
        taxonomy="telecom@1",
        confidence=0.9,
    )


def reclassified(severity: Severity = "major") -> ComplaintReclassified:
    return ComplaintReclassified(
        classification=2,
        category="billing_dispute",
        sub_category="refund",
        kind="complaint",
        severity=severity,
        taxonomy="telecom@1",
        reason="triage/3/reason",
    )


def routed(department: str = "technical_support", routing: int = 1) -> ComplaintRouted:
    return ComplaintRouted(routing=routing, department=department, queue="network")


def reopened(cycle: int = 2) -> ComplaintReopened:
    return ComplaintReopened(cycle=cycle, urgency=cycle - 1)


def dissatisfied(cycle: int = 1) -> SatisfactionRecorded:
    return SatisfactionRecorded(cycle=cycle, solved=False, score=2, words="callback/3/words")


def closed(cycle: int = 1) -> ComplaintClosed:
    return ComplaintClosed(cycle=cycle, reason="withdrawn", withdrawal=1)


def opened(cycle: int = 1, routing: int = 1, department: str = "technical_support") -> CaseOpened:
    return CaseOpened(cycle=cycle, routing=routing, department=department, urgency=cycle - 1)


def accepted(handler: str = "alice", cycle: int = 1, routing: int = 1, transfer: int = 0) -> CaseAccepted:
    return CaseAccepted(cycle=cycle, handler=handler, routing=routing, transfer=transfer)


def contacted(cycle: int = 1) -> CustomerContacted:
    return CustomerContacted(cycle=cycle, means="phone", contacted_at=NOON, note="handling/3/note")


def progressed(cycle: int = 1) -> ProgressReported:
    return ProgressReported(cycle=cycle, note="handling/4/note")


def transferred(department: str = "finance", routing: int = 1, transfer: int = 1, cycle: int = 1) -> CaseTransferred:
    return CaseTransferred(cycle=cycle, routing=routing, transfer=transfer, department=department, reason="handling/5/reason")


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


def rejected(cycle: int = 1, department: str = "technical_support") -> CaseRejected:
    return CaseRejected(cycle=cycle, department=department, reason="handling/6/reason", told_customer="letter")


def cancelled(cycle: int = 1) -> CaseCancelled:
    return CaseCancelled(cycle=cycle, reason="withdrawn")
