"""What the interface of sla-monitor calls things, for its OpenAPI document."""

from __future__ import annotations

from redress_chassis import Meanings
from redress_events.meanings import EXAMPLES, FIELDS

MEANINGS = Meanings(
    summary="The deadlines of complaints: what is due, what is late, and how each deadline was computed.",
    tags={"deadlines": "Clocks and their deadlines."},
    fields={
        "before": "Only deadlines before this time.",
        "clock": "Which step is timed.",
        "clocks": "The complaint's clocks, in the order in which they were started.",
        "n": "Which clock of this name it is in the cycle, from 1.",
        "state": "`open`: it runs. `late`: it runs, past its deadline. `met`: the step was done. `cancelled`: it is no longer needed.",
        "verdict": "`breached` where the deadline passed, `annulled` where an event that came late shows that it was met after all.",
        "policy": "The policy that set it, as id@version.",
        "calendar": "The calendar by which it was computed, as id@version.",
        "target": "How much time the step may take, as the policy states it.",
        "starts_at": "When it was started.",
        "deadline": "By when the step is to be done.",
        "provisional": "Whether it depends on a year whose holidays are not published yet.",
        "seconds_left": "Seconds to the deadline, with nights and holidays; negative once it has passed, null once the clock has ended.",
        "ended": "What ended it; null while it runs.",
        "ended_at": "When it ended; null while it runs.",
        "in_time": "Whether the step was done in time; null where it was not done, or is not yet.",
        "explanation": "The time from the start to the deadline, part by part: the parts that count add up to the target.",
        "start": "When the part begins, in the calendar's time zone.",
        "end": "When it ends, in the calendar's time zone.",
        "counts": "Whether it counts towards the target.",
        "reason": "Why it counts, or does not.",
        "DueComplaint.deadline": "The earliest deadline of these clocks; lists are in its order.",
        "DueComplaint.clocks": "Its clocks that are due, or late.",
    },
    examples={
        "clock": "resolve",
        "n": 1,
        "target": "10 working days",
        "reason": "working time",
        "seconds_left": 86400,
        "policy": "telecom-handbook@2",
        "calendar": "china@1",
    },
    names={"DeadlineView": "Deadline", "WaitingView": "DueComplaint", "WaitingPage": "DuePage", "ClocksView": "ComplaintClocks"},
).joined(Meanings(fields=FIELDS, examples=EXAMPLES))
