"""What callback's interface calls things, for its OpenAPI document."""

from __future__ import annotations

from redress_chassis import Meanings
from redress_events.meanings import EXAMPLES, FIELDS

MEANINGS = Meanings(
    summary="Return visits: whom to call, what the call needs, and its result.",
    tags={"visits": "Return visits: the customer is asked whether it is solved."},
    fields={
        "stage": "Its stage: `waiting` for the department, `due` to be called, `unreached` after the last call, or `closed`.",
        "handled_at": "When the department ended its case.",
        "visit_at": "When the customer is to be called: first by then, later not before, and at once if they said something since.",
        "attempts": "How often the customer was called in this cycle.",
        "give_up_at": "When it is closed as unreachable, if the customer says nothing more.",
        "words": "What was said; null while no call is due, and where it was deleted.",
        "what": "Whether the customer added something or asked for an update.",
        "attempt": "At which attempt of the cycle, from 1.",
        "reached": "Whether somebody spoke with the customer.",
        "reason": "Why the department rejected the complaint.",
        "said": "What the customer said last, in chronological order; intake lists all.",
        "notes": "The agents' latest notes, in chronological order.",
        "Attempt": "The result of a call: whether the customer was reached and, if so, what they said.",
        "Note.at": "When the attempt was made.",
        "VisitSaid.at": "When the customer said it.",
        "Attempt.solved": "Whether the customer says that it is solved; required if they were reached, otherwise left out.",
        "Attempt.satisfaction": "From 1 (very dissatisfied) to 5 (very satisfied); required if they were reached, otherwise left out.",
        "Attempt.words": "What else the customer said.",
        "Attempt.note": "What the next agent should know.",
    },
    examples={
        "stage": "due",
        "outcome": "resolved",
        "notes": ["No answer; they work until six."],
        "Attempt": {"reached": True, "solved": True, "satisfaction": 4, "words": "It works again."},
    },
).joined(Meanings(fields=FIELDS, examples=EXAMPLES))
