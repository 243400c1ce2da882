"""Golden files: for each published form of an event one envelope with everything and one with the least, byte for byte as on the log."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError

from redress_events.event import Event
from redress_spine.messaging.envelope import Envelope, dataschema, encode, event_id
from redress_spine.schemas.json_schema import OPEN_ENUM, Schema

AT: Final = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
ID: Final = "01890000-0000-7000-8000-000000000001"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# What fields look like in practice, by name. A field that is not here gets a value of its type.
SAMPLES: Final[dict[str, Any]] = {
    "area": "riverside",
    "attachments": ["attachment/1"],
    "breaches": ["resolve/1"],
    "calendar": "working-days@2026",
    "complaint": ID,
    "confidence": 0.85,
    "deadline": "2026-03-05T10:00:00Z",
    "department": "network",
    "evidence": [{"start": 3, "end": 9, "term": "no-signal"}],
    "handler": "handler-17",
    "number": "7K2M9QXD4TR",
    "policy": "default@1",
    "product": "broadband",
    "queue": "access",
    "received_at": "2026-03-02T09:30:00Z",
    "refers_to": {"complaint": "01890000-0000-7000-8000-000000000002", "number": "7K2M9QXD4TS"},
    "registered_at": "2026-03-02T09:31:12.000345Z",
    "responsible_unit": "access network operations",
    "satisfaction": 5,
    "score": 5,
    "seconds_to_close": 9000,
    "seconds_to_resolve": 7200,
    "sub_category": "no_signal",
    "target": "3 working days",
    "taxonomy": "telecom@1",
}


class NoSample(Exception):
    """An event refuses the value that a golden file would give one of its fields. The message says which."""


def full(kind: str, event: type[Event], schema: Schema) -> bytes:
    """Every field and every attribute of the envelope has a value."""
    return _envelope(kind, event, {name: sample(name, field) for name, field in schema["properties"].items()}, version=2)


def minimal(kind: str, event: type[Event], schema: Schema) -> bytes:
    """Only what is required."""
    return _envelope(kind, event, {name: sample(name, schema["properties"][name]) for name in schema.get("required", ())}, version=1)


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


def _envelope(kind: str, event: type[Event], data: dict[str, Any], version: int) -> bytes:
    try:
        happened = event.model_validate(data)
    except ValidationError as error:
        fields = ", ".join(sorted({f"`{detail['loc'][0]}`" for detail in error.errors()}))
        raise NoSample(f"{kind}: the golden file's value for {fields} does not fit. Put one into SAMPLES of schemas/golden.py.") from None
    source = kind.split(".")[1]
    subject = f"{event.stream}/{ID}"
    everything = version > 1
    return encode(
        Envelope(
            id=event_id(subject, source, version),
            source=source,
            type=kind,
            subject=subject,
            time=AT,
            version=version,
            data=happened.model_dump(mode="json", exclude_unset=True),
            actor="handler:handler-17",
            correlation="01890000-0000-7000-8000-0000000000c0",
            causation=event_id(subject, "intake", 1) if everything else None,
            traceparent=TRACE if everything else None,
            dataschema=dataschema(kind),
        )
    )
