"""What an operator sees of a record that is held: all that tells why, and nothing of a customer.

Of an envelope of ours the data is shown by the type that it names: a field that is not personal, where its value is one that the field
takes; a sealed one as ciphertext, shortened; of everything else only what kind of value it is. Bytes that are no envelope are shown
escaped, and no more than their beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from redress_events.event import Contract, Event, family
from redress_spine.messaging.envelope import Envelope, Malformed, decode
from redress_spine.processing.parking import HeldRecord
from redress_spine.store.vault import PREFIX, NotSealed, ciphertext_of

BYTES = 300  # of what is no envelope, and of a value
HEADER_BYTES = 80
HEADERS = 20
FIELDS = 100
SEALED_START = 16  # characters of a ciphertext
RAW = ("hash", "prevhash")  # headers that are bytes, and no text


def view(held: HeldRecord, contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """As JSON. `value` is there for an envelope, `bytes` for what is none."""
    record = held.record
    headers = {escaped(name.encode(), HEADER_BYTES): _header(name, value) for name, value in list(record.headers.items())[:HEADERS]}
    seen = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": held.reason,
        "detail": held.detail,
        "key": None if record.key is None else escaped(record.key, HEADER_BYTES),
        "headers": headers,
        "size": len(record.value or b""),
    }
    try:
        return seen | {"value": masked(decode(record.value or b""), contracts)}
    except Malformed:
        return seen | {"bytes": None if record.value is None else escaped(record.value, BYTES)}


def masked(envelope: Envelope, contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """The envelope without its personal data."""
    event = _event_of(envelope.type, contracts)
    data = {escaped(name.encode(), HEADER_BYTES): _field(event, name, value) for name, value in list(envelope.data.items())[:FIELDS]}
    return {
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "subject": envelope.subject,
        "streamversion": envelope.version,
        "time": envelope.time.isoformat(),
        "actor": escaped(envelope.actor.encode(), HEADER_BYTES),
        "correlationid": escaped(envelope.correlation.encode(), HEADER_BYTES),
        "causationid": None if envelope.causation is None else escaped(envelope.causation.encode(), BYTES),
        "data": data,
    }


def escaped(raw: bytes, most: int) -> str:
    """Printable ASCII; other bytes as \\xNN. What is longer ends with how much is left out."""
    shown = repr(raw[:most])[2:-1]
    return shown if len(raw) <= most else f"{shown}… ({len(raw) - most} more bytes)"


def _header(name: str, value: bytes) -> str:
    return value[:32].hex() if name in RAW else escaped(value, HEADER_BYTES)


def _event_of(type_: str, contracts: Mapping[str, Contract]) -> type[Event] | None:
    """The type itself, or the newest known one of its family."""
    known = {name: event for contract in contracts.values() for name, event in contract.by_type.items()}
    family_of = [name for name in known if family(name) == family(type_)]
    return known.get(type_) or (known[max(family_of)] if family_of else None)


def _field(event: type[Event] | None, name: str, value: Any) -> Any:
    if isinstance(value, str) and value.startswith(PREFIX):
        try:
            return f"sealed: {value[: len(PREFIX) + SEALED_START]}… ({len(ciphertext_of(value))} bytes)"
        except NotSealed:
            return _kind(value)
    if value is None:
        return None
    field = event.model_fields.get(name) if event is not None else None
    if event is None or field is None or name in event.personal_fields():
        return _kind(value)
    try:
        taken: Any = Annotated[field.annotation, field, *field.metadata]
        TypeAdapter(taken).validate_python(value)
    except (ValidationError, ValueError, TypeError):
        return _kind(value)
    return value if len(str(value)) <= BYTES else _kind(value)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "masked: true or false"
        case int() | float():
            return "masked: a number"
        case str():
            return f"masked: {len(value)} characters"
        case list():
            return f"masked: a list of {len(value)}"
        case _:
            return "masked: an object"
