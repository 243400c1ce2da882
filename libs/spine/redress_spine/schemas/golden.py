"""Golden files: for each published form of an event one envelope with everything and one with the least, byte for byte as on the log."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError

from redress_events.event import Event
from redress_events.vocabulary import PUBLIC_TOPICS
from redress_spine.messaging.envelope import Envelope, dataschema, encode, event_id
from redress_spine.schemas.json_schema import OPEN_ENUM, Schema
from redress_spine.store.pseudonyms import actor_on

AT: Final = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
ID: Final = "01890000-0000-7000-8000-000000000001"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# What fields look like in practice, by name: one story, whose times and durations agree. A field that is not here gets a value of its type.
SAMPLES: Final[dict[str, Any]] = {
    "accepted_at": "2026-03-02T02:00:00Z",
    "area": "riverside",
    "attachments": ["attachment/1"],
    "attempts": 2,
    "breaches": ["resolve/1"],
    "business_seconds_left": 55_680,
    "calendar": "china@1",
    "category": "service_quality",
    "channel": "hotline",
    "classified_at": "2026-03-02T01:32:00Z",
    "clocks": [
        {
            "clock": "classify",
            "cycle": 1,
            "n": 1,
            "target": "1 working day",
            "deadline": "2026-03-03T16:00:00Z",
            "met_at": "2026-03-02T01:32:00Z",
            "business_seconds_left": 55_680,
            "breached": False,
        },
        {
            "clock": "resolve",
            "cycle": 1,
            "n": 1,
            "target": "4 working hours",
            "deadline": "2026-03-02T06:30:00Z",
            "met_at": "2026-03-02T07:30:00Z",
            "business_seconds_left": -3_600,
            "breached": True,
        },
        {
            "clock": "resolve",
            "cycle": 2,
            "n": 1,
            "target": "4 working hours",
            "deadline": "2026-03-03T03:00:00Z",
            "met_at": "2026-03-02T09:30:00Z",
            "business_seconds_left": 9_000,
            "breached": False,
        },
    ],
    "closed_at": "2026-03-02T12:00:00.123456Z",
    "complaint": ID,
    "confidence": 0.85,
    "cycles": 2,
    "deadline": "2026-03-03T16:00:00Z",
    "department": "technical_support",
    "evidence": [{"start": 3, "end": 9, "term": "signal-none"}],
    "first_contacted_at": "2026-03-02T02:30:00Z",
    "first_department": "technical_support",
    "first_resolved_at": "2026-03-02T07:30:00Z",
    "first_satisfaction": 2,
    "first_solved": False,
    "handler": "handler-17",
    "kept_at": "2026-03-02T01:32:00Z",
    "kind": "complaint",
    "met_at": "2026-03-02T01:32:00Z",
    "number": "7G2K-9QXR-4M",
    "per_cycle": [
        {
            "cycle": 1,
            "started_at": "2026-03-02T01:30:00Z",
            "department": "technical_support",
            "outcome": "resolved",
            "accepted_at": "2026-03-02T02:00:00Z",
            "contacted_at": "2026-03-02T02:30:00Z",
            "resolved_at": "2026-03-02T07:30:00Z",
            "attempts": 1,
            "solved": False,
            "satisfaction": 2,
            "breaches": ["resolve"],
            "ended_at": "2026-03-02T08:00:00Z",
        },
        {
            "cycle": 2,
            "started_at": "2026-03-02T08:00:00Z",
            "department": "technical_support",
            "outcome": "resolved",
            "accepted_at": "2026-03-02T08:15:00Z",
            "contacted_at": "2026-03-02T08:30:00Z",
            "resolved_at": "2026-03-02T09:30:00Z",
            "attempts": 1,
            "solved": True,
            "satisfaction": 5,
            "breaches": [],
            "ended_at": "2026-03-02T12:00:00.123456Z",
        },
    ],
    "policy": "telecom-handbook@1",
    "product": "broadband",
    "queue": "network",
    "received_at": "2026-03-02T01:30:00Z",
    "refers_to": {"complaint": "01890000-0000-7000-8000-000000000002", "number": "7G2K-9QXS-3K"},
    "registered_at": "2026-03-02T01:31:12.000345Z",
    "resolved_at": "2026-03-02T09:30:00Z",
    "responsible_unit": "access network operations",
    "satisfaction": 5,
    "score": 5,
    "seconds_to_close": 37_800,
    "seconds_to_first_resolve": 21_600,
    "seconds_to_resolve": 28_800,
    "severity": "normal",
    "starts_at": "2026-03-02T01:30:00Z",
    "sub_category": "mobile_signal",
    "target": "1 working day",
    "taxonomy": "telecom@2",
}


class NoSample(Exception):
    """An event refuses the value that a golden file would give one of its fields. The message says which."""


def full(kind: str, event: type[Event], schema: Schema) -> bytes:
    """Every field and every attribute of the envelope has a value."""
    return _envelope(kind, event, {name: sample(name, field) for name, field in schema["properties"].items()}, everything=True)


def minimal(kind: str, event: type[Event], schema: Schema) -> bytes:
    """Only what is required."""
    return _envelope(kind, event, {name: sample(name, schema["properties"][name]) for name in schema.get("required", ())}, everything=False)


def sample(name: str, schema: Schema) -> Any:
    """A value that this schema allows, the same each time."""
    if "anyOf" in schema:
        return sample(name, next(branch for branch in schema["anyOf"] if branch.get("type") != "null"))
    if schema.get("x-personal"):
        return sealed(name)
    if name in SAMPLES:
        return SAMPLES[name]
    for values in ("enum", OPEN_ENUM):
        if values in schema:
            return schema[values][0]
    match schema.get("type"), schema.get("format"):
        case "string", "date-time":
            return "2026-03-02T11:15:00Z"
        case "array", _:
            return [sample(name, schema.get("items", {}))]
        case "object", _:
            return {inner: sample(inner, field) for inner, field in schema.get("properties", {}).items()}
        case found, _:
            return {"integer": 1, "number": 0.5, "boolean": True}.get(str(found), "sample")


def sealed(name: str) -> str:
    """Looks like a sealed field, and is nobody's secret."""
    return "sealed:1:" + base64.urlsafe_b64encode(sha256(name.encode()).digest()).decode()


def _envelope(kind: str, event: type[Event], data: dict[str, Any], everything: bool) -> bytes:
    try:
        happened = event.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(sorted({f"`{detail['loc'][0]}`" for detail in error.errors()}))
        raise NoSample(f"{kind}: the golden file's value for {fields} does not fit. Put one into SAMPLES of schemas/golden.py.") from None
    source = kind.split(".")[1]
    public = event.topic in PUBLIC_TOPICS
    version = 2 if everything and not public else 1  # a public stream begins with the first revision
    subject = f"{event.stream}/{ID}"
    return encode(
        Envelope(
            id=event_id(subject, source, version),
            source=source,
            type=kind,
            subject=subject,
            time=AT,
            version=version,
            data=happened.model_dump(mode="json", exclude_unset=True),
            actor=actor_on(event.topic, "agent:agent-7" if public else "handler:handler-17", bytes(32)),
            correlation="01890000-0000-7000-8000-0000000000c0",
            causation=event_id(f"{event.decided_on}/{ID}", "intake", 1) if everything else None,
            traceparent=TRACE if everything else None,
            dataschema=dataschema(kind),
        )
    )
