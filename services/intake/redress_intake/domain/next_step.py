"""Who has the next step of an open complaint: every complaint is closed, or somebody named here has to act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from redress_intake.domain.complaint import Complaint

NORMAL = timedelta(minutes=5)  # what a service that acts by itself needs at most while all is well


@dataclass(frozen=True, slots=True)
class NextStep:
    """owner: a service that acts by itself, `department:<name>`, or `return-visit agents`. since: when it came to this. at_once: the owner
    is a service that waits for nobody and for no date."""

    owner: str
    step: str
    since: datetime
    by: datetime | None = None
    at_once: bool = False

    def stuck(self, now: datetime) -> bool:
        """Whether a service owes it for longer than is normal. Of people nobody says that here: their deadlines are the SLA monitor's."""
        return self.at_once and now - self.since > NORMAL


def next_step(complaint: Complaint) -> NextStep | None:
    """None once the complaint is closed."""
    if complaint.closed:
        return None
    stage, observed = complaint.stage, complaint.observed
    reached = complaint.reached
    if stage in ("in-handling", "contacted") and "routed" in reached and observed.handler is None:
        stage = "routed"  # it has moved on since: the department that has it now begins with accepting it
    since = complaint.own.withdrawn_at if stage == "withdrawal-pending" else reached[stage]
    assert since is not None, "a wish that is pending was wished at some time"
    department = f"department:{observed.department}"
    match stage:
        case "registered" | "classified":
            return NextStep("triage", "classify and route it", since, at_once=True)
        case "reopened":
            return NextStep("handling", "open a case for the new cycle", since, at_once=True)
        case "routed" if observed.placement.opened is None:
            return NextStep("handling", "open the case", since, at_once=True)  # no department sees it before
        case "routed":
            return NextStep(department, "accept the case", since)
        case "in-handling":
            return NextStep(department, "contact the customer", since)
        case "contacted":
            return NextStep(department, "resolve or reject the case", since)
        case "being-visited":
            visit = observed.visit
            if visit and visit.cycle == observed.cycle and visit.due_at:
                return NextStep("return-visit agents", "call the customer", since, visit.due_at)
            if visit and visit.cycle == observed.cycle and complaint.said > visit.said:
                return NextStep("return-visit agents", "call the customer", since)  # they said something since: nobody gives up
            return NextStep("callback", "close it as unreachable when the waiting time is over", since)
        case "withdrawal-pending":
            return NextStep("callback", "answer the withdrawal", since, at_once=True)
    return NextStep("callback", "schedule the return visit", since, at_once=True)
