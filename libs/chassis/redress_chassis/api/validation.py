"""What pydantic found wrong, as flaws with JSON pointers. The input is never repeated: it may be personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Where = Literal["body", "path", "query", "header"]
PARTS: Mapping[str, Where] = {"body": "body", "path": "path", "query": "query"}
MOST_FLAWS = 50  # a body of ten thousand unknown fields is not worth ten thousand sentences
# What to write, in place of pydantic's words for what was written. `test_every_error_says_what_to_write` meets them all.
_TIME, _INTEGER, _NUMBER, _OBJECT, _LIST = (
    "Write a time with its zone, like 2026-03-02T12:00:00+08:00.",
    "Write a whole number, like 3.",
    "Write a number, like 1.5.",
    'Write an object, like {{"name": "value"}}.',
    'Write a list, like ["one", "two"].',
)
_TOO_FEW, _TOO_MANY = "Give {min_length} at least.", "Give {max_length} at most."
SENTENCES: Mapping[str, str] = {
    "missing": "This is needed.",
    "extra_forbidden": "This name is not known here. Leave it out, or correct its spelling.",
    "string_type": 'Write a text in quotes, like "text".',
    "string_too_short": "Write {min_length} characters at least.",
    "string_too_long": "Write {max_length} characters at most.",
    "string_unicode": "Write a text in UTF-8.",
    "literal_error": "Write one of these: {expected}.",
    "enum": "Write one of these: {expected}.",
    "uuid_type": "Write an id, like 01981f6e-2d3c-7f4a-8b5e-6a7d8c9e0f12.",
    "uuid_parsing": "Write an id, like 01981f6e-2d3c-7f4a-8b5e-6a7d8c9e0f12.",
    "bool_type": "Write true or false, without quotes.",
    "bool_parsing": "Write true or false.",
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": "Write a number greater than {gt}.",
    "greater_than_equal": "Write {ge} or a higher number.",
    "less_than": "Write a number less than {lt}.",
    "less_than_equal": "Write {le} or a lower number.",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": _TIME,
    "date_from_datetime_parsing": "Write a day, like 2026-03-02.",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "too_short": _TOO_FEW,
    "too_long": _TOO_MANY,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}
NOT_EMPTY = "Write something here: it must not be empty."  # where one character is enough
LONGEST_TOKEN = 64  # characters of a field name that somebody else made up


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with a request, where (`pointer` is a JSON pointer into that part), and why."""

    pointer: str
    detail: str
    code: str
    where: Where = "body"

    def as_json(self) -> dict[str, str]:
        return {"in": self.where, "pointer": self.pointer, "code": self.code, "detail": self.detail}


def pointer_to(tokens: Iterable[object]) -> str:
    """RFC 6901. Field names that are too long or cannot be printed are made harmless, for they are input too."""
    return "".join(f"/{_harmless(str(token))}" for token in tokens)


def _harmless(token: str) -> str:
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in token[:LONGEST_TOKEN])
    return printable.replace("~", "~0").replace("/", "~1")


def flaws(errors: Sequence[Mapping[str, Any]], body: Any) -> list[Flaw]:
    """pydantic's errors, as FastAPI locates them. body: what was parsed, to tell field names from the names of a union's branches."""
    return [_flaw(error, body) for error in errors[:MOST_FLAWS]]


def _flaw(error: Mapping[str, Any], body: Any) -> Flaw:
    part, *location = error["loc"]
    where = PARTS.get(part, "header")
    tokens = _tokens(location, body) if where == "body" else location
    return Flaw(pointer_to(tokens), _detail(error), str(error["type"]).replace("_", "-"), where)


def _detail(error: Mapping[str, Any]) -> str:
    if error["type"] == "string_too_short" and error.get("ctx", {}).get("min_length", 1) == 1:
        return NOT_EMPTY
    if (sentence := SENTENCES.get(error["type"])) is not None:
        return sentence.format_map({name: _counted(value) for name, value in error.get("ctx", {}).items()})
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _counted(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _tokens(location: Sequence[Any], body: Any) -> list[object]:
    """The part of the location that exists in the body, and a last name that is missing there."""
    tokens: list[object] = []
    here = body
    for position, token in enumerate(location):
        if (isinstance(here, dict) and token in here) or (isinstance(here, list) and isinstance(token, int) and token < len(here)):
            tokens.append(token)
            here = here[token]
        elif isinstance(here, dict) and position == len(location) - 1:
            tokens.append(token)
    return tokens
