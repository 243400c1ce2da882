"""What callback's interface calls things, for its OpenAPI document."""

from __future__ import annotations

from redress_chassis import Meanings
from redress_events.meanings import EXAMPLES, FIELDS

MEANINGS = Meanings(
    summary="Return visits: who is to be called, what the call needs, and what came of it.",
    tags={"visits": "Return visits: the customer is asked whether it is solved."},
    fields={
        "stage": "Whose turn it is: `waiting` for the department, `due` to be called, `unreached` after the last attempt, or `closed`.",
        "handled_at": "When the department ended its case.",
        "visit_at": "When the customer is to be called: first by then, later not before, and at once if they said something since.",
        "attempts": "How often the customer was called in this cycle.",
        "give_up_at": "When it is closed as unreachable, if the customer says nothing more.",
        "words": "What was said; null while nobody has to call, and where it was deleted.",
        "what": "Whether the customer added something or asked for an update.",
        "attempt": "At which attempt of the cycle, from 1.",
        "reached": "Whether somebody spoke with the customer.",
        "reason": "Why the department did not follow the complaint.",
        "said": "The latest that the customer said, in the order of time; intake lists all.",
        "notes": "The latest notes of the agents, in the order of time.",
        "Attempt": "What came of a call: whether the customer was reached, and then what they said.",
        "Note.at": "When the attempt was made.",
        "VisitSaid.at": "When the customer said it.",
        "Attempt.solved": "Whether the customer says that it is solved; only if they were reached, and then needed.",
        "Attempt.satisfaction": "From 1 (very dissatisfied) to 5 (very satisfied); only if they were reached, and then needed.",
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
