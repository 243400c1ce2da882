"""One AsyncAPI 3.0 document for each service: what it sends, on which topic, under which key and with which headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redress_events.event import Contract, Event
from redress_events.vocabulary import KEYS, LIFECYCLE
from redress_spine.messaging.envelope import CONTENT_TYPE, DATA_CONTENT_TYPE, MAX_VERSION, SUBJECT, dataschema
from redress_spine.schemas.json_schema import Schema

Document = dict[str, Any]

KEY_MAKER: Final = "intake"  # the only service that makes data keys and sends them
BINDING: Final = "0.5.0"
PARTITIONS: Final = 12  # fixed at birth
TEXT: Final = {"type": "string", "minLength": 1}
HASH: Final = {"type": "string", "format": "binary", "description": "Raw 32 bytes."}
MAC_HEADER: Final = {
    "type": "string",
    "pattern": r"^[a-z][a-z0-9-]*\.[1-9][0-9]{0,8}\.[A-Za-z0-9_-]{24}$",
    "description": "Proves the source to those who hold its keys: `<source>.<key's number>.<HMAC-SHA256, 18 bytes, base64url>`.",
}
PROOF_HEADER: Final = MAC_HEADER | {
    "description": "Of a record without a value: the MAC of the subject by the service that made it, whichever service sends it."
}
ABOUT: Final = (
    "Events of the Redress service `{source}`: CloudEvents 1.0 in structured mode. "
    "Within a stream (subject and source) they are numbered 1, 2, 3 … and chained: hash = SHA-256(prevhash + the value's bytes). "
    "Strings that begin with `sealed:1:` are personal data and can be opened only by services that hold the complaint's key."
)


def document(contract: Contract, schemas: dict[str, Schema], revision: int) -> Document:
    """revision: how many forms of its events were ever published; it grows with each change."""
    topics: dict[str, dict[str, Any]] = {}
    for event in contract.type_of:
        topics.setdefault(event.topic, {})[event.__name__] = {"$ref": f"#/components/messages/{event.__name__}"}
    channels = {topic: _channel(topic, messages) for topic, messages in topics.items()}
    messages = {event.__name__: _message(kind, event, schemas[kind]) for kind, event in contract.by_type.items()}
    if contract.source == KEY_MAKER:
        channels[KEYS] = _keys_channel()
        messages["DataKey"] = _data_key(sorted({event.stream for event in contract.type_of}))
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Redress: {contract.source}", "version": f"1.{revision}.0", "description": ABOUT.format(source=contract.source)},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": {f"send to {topic}": _operation(topic, channel) for topic, channel in channels.items()},
        "components": {
            "messages": messages,
            "schemas": {"Envelope": _envelope(contract.source), "Headers": _headers(contract.source)},
        },
    }


def _channel(topic: str, messages: dict[str, Any]) -> Document:
    return {
        "address": topic,
        "description": "The log of all events, kept permanently." if topic == LIFECYCLE else "A public record, kept permanently.",
        "messages": messages,
        "bindings": _topic(topic, PARTITIONS, {"cleanup.policy": ["delete"], "retention.ms": -1}),
    }


def _keys_channel() -> Document:
    return {
        "address": KEYS,
        "description": "One data key for each subject, until it is forgotten. A key arrives here before the events it seals.",
        "messages": {"DataKey": {"$ref": "#/components/messages/DataKey"}},
        "bindings": _topic(KEYS, 1, {"cleanup.policy": ["compact"]}),
    }


def _topic(topic: str, partitions: int, settings: dict[str, Any]) -> Document:
    return {"kafka": {"topic": topic, "partitions": partitions, "topicConfiguration": settings, "bindingVersion": BINDING}}


def _operation(topic: str, channel: Document) -> Document:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in channel["messages"]],
    }


def _message(kind: str, event: type[Event], schema: Schema) -> Document:
    data = {key: value for key, value in schema.items() if key not in ("$schema", "$id", "title", "description", "x-topic")}
    message = {
        "name": kind,
        "title": event.__name__,
        "contentType": CONTENT_TYPE,
        "correlationId": {"location": "$message.payload#/correlationid"},
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {"properties": {"type": {"const": kind}, "dataschema": {"const": dataschema(kind)}, "data": data}},
            ]
        },
        "bindings": _key(f"The subject, `{event.stream}/<id>`.", f"^{event.stream}/"),
    }
    if "description" in schema:
        message["description"] = schema["description"]
    return message


def _data_key(aggregates: Sequence[str]) -> Document:
    return {
        "name": "data-key",
        "title": "DataKey",
        "contentType": "application/octet-stream",
        "description": "A subject's data key, wrapped by the master key. A record without a value destroys the key, if it has its proof.",
        "headers": {"type": "object", "properties": {"mac": MAC_HEADER, "proof": PROOF_HEADER}, "required": ["mac"]},
        "payload": {"type": ["string", "null"], "format": "binary"},
        "bindings": _key("The subject whose personal fields it seals.", f"^({'|'.join(aggregates)})/"),
    }


def _key(description: str, pattern: str) -> Document:
    return {"kafka": {"key": {"type": "string", "pattern": pattern, "description": description}, "bindingVersion": BINDING}}


def _envelope(source: str) -> Schema:
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0"},
        "id": TEXT | {"description": "`<subject>/<source>/<streamversion>`"},
        "source": {"const": source},
        "type": TEXT,
        "subject": {"type": "string", "pattern": f"^{SUBJECT.pattern}$"},
        "time": {"type": "string", "format": "date-time", "description": "When it was decided, UTC."},
        "datacontenttype": {"const": DATA_CONTENT_TYPE},
        "dataschema": TEXT,
        "streamversion": {"type": "integer", "minimum": 1, "maximum": MAX_VERSION},
        "actor": TEXT | {"description": "Who decided: a person, a model with its version, or a timer. On a public topic with a pseudonym."},
        "correlationid": TEXT,
        "causationid": TEXT
        | {"description": "Id of the last event of another service that its service knew of the subject. Absent where it knew none."},
        "traceparent": TEXT,
        "data": {"type": "object"},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in ("causationid", "traceparent")],
    }


def _headers(source: str) -> Schema:
    properties: dict[str, Any] = {
        "content-type": {"const": CONTENT_TYPE},
        "id": TEXT,
        "type": TEXT,
        "source": {"const": source},
        "subject": TEXT,
        "streamversion": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "hash": HASH,
        "prevhash": HASH,
        "mac": MAC_HEADER,
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
