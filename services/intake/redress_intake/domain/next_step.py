"""Who has the next step of an open complaint: every complaint is closed, or somebody named here has to act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from redress_intake.domain.complaint import Complaint


@dataclass(frozen=True, slots=True)
class NextStep:
    """owner: a service that acts by itself, `department:<name>`, or `return-visit agents`. since: when it came to this."""

    owner: str
    step: str
    since: datetime
    by: datetime | None = None


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
            return NextStep("triage", "classify and route it", since)
        case "reopened":
            return NextStep("handling", "open a case for the new cycle", since)
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
            return NextStep("callback", "answer the withdrawal", since)
    return NextStep("callback", "schedule the return visit", since)
