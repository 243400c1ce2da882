"""Whole lives of complaints, told by the real deciders and written down as on the log: what the golden log is made of.

A life that was told once is never told again: its file stays as it is, whatever the deciders say later, as events on a log do. For a new
event, or another turn of a story, add a life at the end; `make folds` writes its file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from uuid import UUID

from journey import Journey
from machines import CLEAR, VAGUE, Limits, machines

from redress_spine.messaging.envelope import Envelope, dataschema, encode, event_id
from redress_spine.schemas.golden import sealed

SERVICES = machines(Limits(cycles=3, times=3, calls=3, talk=True))
PAUSE = timedelta(minutes=40)  # after each step, so that each has a time of its own
LATER = timedelta(days=30)  # every deadline has passed

# Steps are acts (machines.py) by their names, `<service> reads`, or `days pass`. All is read and done after each; but `…` says
# that this waits.
SOLVED = ["accept", "contact", "progress", "resolve", "satisfied"]
LIVES: dict[str, tuple[str, list[str]]] = {
    "solved": (CLEAR, SOLVED),
    "not-solved-then-solved": (CLEAR, ["accept", "contact", "resolve", "missed", "dissatisfied", *SOLVED]),
    "rejected-and-never-reached": (CLEAR, ["chase", "accept", "reject", "missed", "missed", "missed", "give-up"]),
    "withdrawn": (CLEAR, ["supplement", "accept", "withdraw"]),
    "withdrawn-in-its-second-cycle": (CLEAR, ["accept", "contact", "resolve", "dissatisfied", "accept", "withdraw"]),
    "passed-on": (CLEAR, ["transfer", "accept", "transfer", "accept", "contact", "resolve", "dissatisfied", "transfer", *SOLVED]),
    "routed-elsewhere": (VAGUE, ["accept", "contact", "reroute", "transfer", "reroute", *SOLVED]),
    "routed-away-from-a-transfer": (CLEAR, ["accept", "transfer…", "reroute…", "intake reads", *SOLVED]),
    "classified-by-a-person": (VAGUE, ["reclassify", "reclassify", "reclassify", *SOLVED]),
    "late": (CLEAR, ["days pass", *SOLVED]),
    "late-in-its-second-cycle": (CLEAR, ["accept", "contact", "resolve", "dissatisfied", "days pass", *SOLVED]),
    "in-time-and-known-late": (CLEAR, ["accept", "contact", "resolve…", "breach", "satisfied"]),
    "published-again": (CLEAR, ["accept", "withdraw…", "callback reads…", "close-withdrawn…", "breach…", "callback reads", "days pass"]),
    "still-broken-and-never-reached": (
        CLEAR,
        ["chase", "accept", "contact", "resolve", "supplement", *["missed"] * 3, "chase", *["missed"] * 3, "give-up"],
    ),
    "still-broken-and-reached-at-last": (CLEAR, ["accept", "reject", *["missed"] * 3, "chase", "supplement", "dissatisfied", *SOLVED]),
    "forgotten": (CLEAR, ["supplement", "accept", "withdraw", "forget"]),
}


def told(life: str) -> list[bytes]:
    """The events of this life in their order, each as on the log."""
    text, steps = LIVES[life]
    journey = Journey(SERVICES, text)
    for step in ["settle", *steps]:
        _take(journey, step)
        if not step.endswith("…"):
            journey.settle()
        journey.pause(PAUSE)
    assert journey.joint.ended, f"{life}: it has not ended"
    identity = UUID(int=0x0189_0000_0000_7000_8000_0000_0000_0000 + 1 + list(LIVES).index(life))
    versions: dict[tuple[str, str], int] = defaultdict(int)
    lines = []
    for n, event, at in journey.log:
        contract = SERVICES[n].contract
        subject = f"{event.stream}/{identity}"
        versions[contract.source, subject] += 1
        version, kind = versions[contract.source, subject], contract.type_of[type(event)]
        data = json.loads(event.model_dump_json(exclude_none=True))
        data |= {name: sealed(name) for name in event.personal_fields() if name in data}
        lines.append(
            encode(
                Envelope(
                    id=event_id(subject, contract.source, version),
                    source=contract.source,
                    type=kind,
                    subject=subject,
                    time=at,
                    version=version,
                    data=data,
                    actor="handler:alice",
                    correlation=str(identity),
                    causation=None,
                    traceparent=None,
                    dataschema=dataschema(kind),
                )
            )
        )
    return lines


def _take(journey: Journey, step: str) -> None:
    name = step.removesuffix("…")
    if name == "days pass":
        journey.pause(LATER)
    elif name.endswith(" reads"):
        journey.read_all(name.removesuffix(" reads"))
    elif name != "settle":
        journey.do(name)
