"""The envelope of an event: CloudEvents 1.0 in structured mode, the bytes that the chain is computed over, and the headers beside them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import orjson

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
DATA_CONTENT_TYPE: Final = "application/json"
GENESIS: Final = bytes(32)  # what the first event of a stream is chained to

MAX_VERSION: Final = 2**31 - 1  # an Integer of CloudEvents is 32 bits wide
MAX_NUMBER: Final = 2**63  # beyond it a generated bigint column overflows, and PostgreSQL refuses the whole batch
MAX_DEPTH: Final = 32
NUL_ESCAPE: Final = b"\\u0000"

SUBJECT: Final = re.compile(r"[a-z][a-z0-9-]{0,39}/[A-Za-z0-9._~@:-]{1,200}")
TYPE: Final = re.compile(r"(redress\.([a-z][a-z0-9-]*)\.[a-z][a-z0-9-]*)\.v([1-9][0-9]{0,3})")
TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})")


class Malformed(ValueError):
    """These bytes are not the envelope of an event, or this envelope could not be read back. The message says why and quotes no data."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(slots=True)  # nobody changes one; but a frozen one is slower to make, and readers make one for each event
class Envelope:
    """One event with everything around it.

    id: `event_id(subject, source, version)`. source: the service. subject: `<kind>/<id>`, also the record's key. time: aware UTC.
    version: 1, 2, 3 … of this source on this subject (`streamversion`). data: plain JSON values, personal fields sealed.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    version: int
    data: dict[str, Any]
    actor: str
    correlation: str
    causation: str | None
    traceparent: str | None
    dataschema: str


def event_id(subject: str, source: str, version: int) -> str:
    return f"{subject}/{source}/{version}"


def dataschema(type_: str) -> str:
    """`redress.jar.note-taken.v1` → `urn:redress:schema:redress.jar.note-taken:1`."""
    found = TYPE.fullmatch(type_)
    if found is None:
        raise Malformed("The type is not `redress.<source>.<name>.v<version>`.")
    return f"urn:redress:schema:{found[1]}:{found[3]}"


def encode(envelope: Envelope) -> bytes:
    """The record's value, the same bytes for the same envelope. Raises Malformed rather than write what `decode` would refuse."""
    _check(envelope)
    written: dict[str, Any] = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": _time_text(envelope.time),
        "datacontenttype": DATA_CONTENT_TYPE,
        "dataschema": envelope.dataschema,
        "streamversion": envelope.version,
        "actor": envelope.actor,
        "correlationid": envelope.correlation,
    }
    if envelope.causation is not None:
        written["causationid"] = envelope.causation
    if envelope.traceparent is not None:
        written["traceparent"] = envelope.traceparent
    written["data"] = envelope.data
    try:
        value = orjson.dumps(written)
    except orjson.JSONEncodeError as error:
        raise Malformed(f"It cannot be written as JSON: {error}.") from None
    if NUL_ESCAPE in value and _has_nul(written):
        raise Malformed("It has a NUL character in a string.")
    return value


def decode(value: bytes) -> Envelope:
    """The envelope in a record's value. Attributes that it does not know are ignored. Raises Malformed, and nothing else, for any bytes."""
    try:
        read = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"It is not JSON in UTF-8: {error.msg}.") from None
    if type(read) is not dict:
        raise Malformed("It is not a JSON object.")
    if NUL_ESCAPE in value and _has_nul(read):
        raise Malformed("It has a NUL character in a string.")
    if read.get("specversion") != "1.0":
        raise Malformed("Its specversion is not 1.0.")
    if read.get("datacontenttype") != DATA_CONTENT_TYPE:
        raise Malformed(f"Its datacontenttype is not {DATA_CONTENT_TYPE}.")
    get: Callable[[str], Any] = read.get  # whatever it finds, _check looks at
    envelope = Envelope(
        get("id"),
        get("source"),
        get("type"),
        get("subject"),
        _time(get("time")),
        get("streamversion"),
        get("data"),
        get("actor"),
        get("correlationid"),
        get("causationid"),
        get("traceparent"),
        get("dataschema"),
    )
    _check(envelope)
    return envelope


def chain(prevhash: bytes, value: bytes) -> bytes:
    """The hash of an event: over the hash before it on its stream (GENESIS for the first) and its own bytes."""
    return sha256(prevhash + value).digest()


def headers(stream: str, source: str, type_: str, version: int, prevhash: bytes, hash: bytes) -> list[tuple[str, bytes]]:
    """The record's headers: what filters need without reading the value, and the chain as raw 32 bytes each. Without the prefix `ce_`,
    which would make the official SDK take a record for one in binary mode."""
    return [
        ("content-type", CONTENT_TYPE.encode()),
        ("id", event_id(stream, source, version).encode()),
        ("type", type_.encode()),
        ("source", source.encode()),
        ("subject", stream.encode()),
        ("streamversion", b"%d" % version),
        ("hash", hash),
        ("prevhash", prevhash),
    ]


def _time_text(time: datetime) -> str:
    try:
        return time.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
    except OverflowError:
        raise Malformed("Its time does not exist.") from None


def _time(text: object) -> datetime:
    if type(text) is not str or TIME.fullmatch(text) is None:
        raise Malformed("Its time is not an RFC 3339 instant with an offset.")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed("Its time does not exist.") from None


def _check(envelope: Envelope) -> None:
    """Raise Malformed unless every attribute has its type and they agree with one another. One pass, for encode and decode alike."""
    if type(envelope.version) is not int or not 1 <= envelope.version <= MAX_VERSION:
        raise Malformed(f"Its streamversion is not a whole number from 1 to {MAX_VERSION}.")
    if type(envelope.subject) is not str or SUBJECT.fullmatch(envelope.subject) is None:
        raise Malformed("Its subject is not `<kind>/<id>`.")
    source = _source_of(envelope.type) if type(envelope.type) is str else None
    if source is None:
        raise Malformed("Its type is not `redress.<source>.<name>.v<version>`.")
    if source != envelope.source:
        raise Malformed("Its type is another source's.")
    if envelope.id != f"{envelope.subject}/{envelope.source}/{envelope.version}":
        raise Malformed("Its id is not `<subject>/<source>/<streamversion>`.")
    if envelope.time.utcoffset() is None:
        raise Malformed("Its time has no offset.")
    if type(actor := envelope.actor) is not str or not actor:
        raise Malformed("Its actor is not a text.")
    if type(correlation := envelope.correlation) is not str or not correlation:
        raise Malformed("Its correlationid is not a text.")
    if type(schema := envelope.dataschema) is not str or not schema:
        raise Malformed("Its dataschema is not a text.")
    if (causation := envelope.causation) is not None and (type(causation) is not str or not causation):
        raise Malformed("Its causationid is neither absent nor a text.")
    if (trace := envelope.traceparent) is not None and (type(trace) is not str or not trace):
        raise Malformed("Its traceparent is neither absent nor a text.")
    if type(envelope.data) is not dict:
        raise Malformed("Its data is not a JSON object.")
    _check_numbers(envelope.data, MAX_DEPTH)


@lru_cache(1_000)
def _source_of(type_: str) -> str | None:
    """Whose type this is; None where it is none."""
    found = TYPE.fullmatch(type_)
    return found and found[2]


def _check_numbers(value: dict[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> None:
    """Raise Malformed for numbers that a bigint cannot hold, for NaN, and for nesting that would exhaust the stack."""
    if not depth:
        raise Malformed(f"Its data is nested deeper than {MAX_DEPTH}.")
    for item in value.values() if isinstance(value, dict) else value:
        kind = type(item)
        if kind is str:
            continue
        if kind is int or kind is float:
            if not -MAX_NUMBER < item < MAX_NUMBER:  # also true of NaN
                raise Malformed("Its data has a number beyond 63 bits.")
        elif kind is dict or kind is list or kind is tuple:
            _check_numbers(item, depth - 1)


def _has_nul(value: object) -> bool:
    """Asked only when the escape occurs in the bytes, where it may also be a backslash and then text."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
    return False
