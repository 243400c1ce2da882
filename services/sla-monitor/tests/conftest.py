"""Random histories of one complaint, for the laws that hold whatever happens: in the pure tests, and against a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from redress_events.contracts.callback import ComplaintClosed, ComplaintReopened
from redress_events.contracts.handling import CaseRejected, CaseResolved, CaseTransferred
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified, ComplaintReclassified, ComplaintRouted
from redress_events.event import Event
from redress_sla_monitor.domain.policy import ClockPolicy, PolicyInForce
from redress_sla_monitor.policies import calendars

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
# Targets of few hours, so that events fall before, at and after deadlines.
CLOCKS = {
    "classify": {"target": "2 natural hours"},
    "resolve": {
        "target": "4 natural hours",
        "categories": {"service_quality": "3 natural hours", "billing_dispute": "7 natural hours"},
        "severities": {"major": "0.5"},
    },
}

# A foreign event that becomes known, with the time at which it was decided; or a automation that looks at the complaint, and when.
Step = tuple[Event | str, datetime]


@pytest.fixture(scope="session")
def rules() -> PolicyInForce:
    return PolicyInForce(ClockPolicy.model_validate({"id": "hours", "version": 1, "calendar": "china@1", "clocks": CLOCKS}), calendars())


@pytest.fixture(scope="session")
def histories() -> st.SearchStrategy[list[Step]]:
    """Foreign events of up to three cycles at any times, also such as no service would publish, and work in between; mostly it begins as
    complaints do, and all work is done after each event."""
    work = st.sampled_from(["start", "settle", "breach"])
    some = st.lists(st.tuples(st.one_of(_foreign(), work), _hours()), max_size=15)
    usual = st.builds(lambda received, rest: [(registered(received), received), *rest], _hours(), some)
    return st.one_of(some, usual, usual.map(_worked)).map(_numbered)


@pytest.fixture(scope="session")
def journeys() -> st.SearchStrategy[list[Step]]:
    """Foreign events as services publish them, in the order of their times."""
    return st.lists(st.tuples(_foreign(), st.integers(1, 3)), max_size=12).map(_plausible)


def _hours() -> st.SearchStrategy[datetime]:
    return st.integers(0, 15).map(hour)


def hour(n: int) -> datetime:
    return MIDNIGHT + timedelta(hours=n)


def registered(received_at: datetime) -> ComplaintRegistered:
    return ComplaintRegistered(number="C", channel="web", kind="complaint", received_at=received_at, text="")


def _foreign() -> st.SearchStrategy[Event]:
    cycles = st.integers(1, 3)
    said = {
        "category": st.sampled_from(["service_quality", "billing_dispute", "other"]),
        "severity": st.sampled_from(["normal", "major"]),
        "classification": st.just(1),
        "sub_category": st.just("any"),
        "kind": st.just("complaint"),
        "taxonomy": st.just("test@1"),
    }
    work = {"cycle": cycles, "department": st.just("any"), "told_customer": st.just("phone")}
    routings, departments = st.integers(1, 3), st.sampled_from(["technical_support", "finance"])
    return st.one_of(
        st.builds(registered, _hours()),
        st.builds(ComplaintRouted, routing=routings, department=departments, queue=st.just("any")),
        st.builds(CaseTransferred, cycle=cycles, routing=routings, transfer=st.integers(1, 3), department=departments, reason=st.just("")),
        st.builds(ComplaintClassified, confidence=st.just(1.0), **said),
        st.builds(ComplaintReclassified, reason=st.just(""), **said),
        st.builds(CaseResolved, cause=st.just(""), measures=st.just(""), responsible_unit=st.just(""), **work),
        st.builds(CaseRejected, reason=st.just(""), **work),
        st.builds(ComplaintReopened, cycle=st.integers(2, 3), urgency=st.just(1)),
        st.builds(ComplaintClosed, cycle=cycles, reason=st.just("withdrawn")),
    )


def _worked(steps: list[Step]) -> list[Step]:
    return [part for event, at in steps for part in ((event, at), ("start", at), ("settle", at), ("breach", at))]


def _numbered(steps: list[Step]) -> list[Step]:
    """With one registration, the first, and classifications counted."""
    told: list[Step] = []
    classification = 0
    for event, at in steps:
        if isinstance(event, ComplaintRegistered) and any(isinstance(earlier, ComplaintRegistered) for earlier, _ in told):
            continue
        if isinstance(event, ComplaintClassified | ComplaintReclassified):
            classification += 1
            told.append((event.model_copy(update={"classification": classification}), at))
            continue
        told.append((event, at))
    return told


def _plausible(drawn: list[tuple[Event, int]]) -> list[Step]:
    """Registered first; a cycle is resolved once, and reopened only when it was resolved or closed; time goes on with each event."""
    now = 1
    cycle, ended, over = 1, False, False
    told: list[Step] = [
        (registered(hour(0)), hour(now)),
    ]
    for event, hours in drawn:
        match event:
            case CaseResolved() | CaseRejected() if not ended:
                ended, event = True, event.model_copy(update={"cycle": cycle})
            case ComplaintReopened() if ended or over:
                cycle, ended, over = cycle + 1, False, False
                event = event.model_copy(update={"cycle": cycle})
            case ComplaintClosed() if not over:
                over, event = True, event.model_copy(update={"cycle": cycle})
            case ComplaintClassified() | ComplaintReclassified() | ComplaintRouted() | CaseTransferred():
                pass
            case _:
                continue
        now += hours
        told.append((event, hour(now)))
    return _numbered(told)
