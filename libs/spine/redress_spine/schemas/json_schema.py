"""The JSON Schema (2020-12) of an event's data, as it stands on the log."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from redress_events.event import Event
from redress_events.vocabulary import LIFECYCLE
from redress_spine.messaging.envelope import dataschema

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# On a public topic readers are strangers: their enumerations are open, so that a new value breaks nobody's validation.
OPEN_ENUM: Final = "x-extensible-enum"


def schema_of(kind: str, event: type[Event]) -> Schema:
    """Properties in order of declaration; unknown ones are allowed. `x-topic` and `x-stream` say where such events are found."""
    body = _plain(inlined(event.model_json_schema(mode="serialization", schema_generator=_NoTitles)), public=event.topic != LIFECYCLE)
    return {
        "$schema": DIALECT,
        "$id": dataschema(kind),
        "title": event.__name__,
        "x-topic": event.topic,
        "x-stream": event.stream,
        **{key: body[key] for key in ("description", "type", "properties", "required") if key in body},
    }


def inlined(schema: Schema) -> Schema:
    """The schema with its `$defs` put where they are referred to: it can then be embedded, and compared, as it is."""
    definitions: dict[str, Any] = schema.get("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        if isinstance(reference := value.get("$ref"), str):
            return resolved(definitions[reference.rpartition("/")[2]] | {key: item for key, item in value.items() if key != "$ref"})
        return {key: resolved(item) for key, item in value.items() if key != "$defs"}

    result: Schema = resolved(schema)
    return result


class _NoTitles(GenerateJsonSchema):
    """Titles that only repeat the field's name are noise."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _plain(value: Any, *, public: bool) -> Any:
    """Descriptions on one line, `const` as the enumeration it is, and open enumerations where the topic is public."""
    if isinstance(value, list):
        return [_plain(item, public=public) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain(item, public=public) for key, item in value.items()}
    if isinstance(text := plain.get("description"), str):
        plain["description"] = " ".join(text.split())
    if "const" in plain and "type" in plain:
        plain["enum"] = [plain.pop("const")]
    if public and isinstance(plain.get("enum"), list):
        plain[OPEN_ENUM] = plain.pop("enum")
    return plain
