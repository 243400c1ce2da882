"""What pydantic found wrong, as flaws with JSON pointers. The input is never repeated: it may be personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Where = Literal["body", "path", "query", "header"]
PARTS: Mapping[str, Where] = {"body": "body", "path": "path", "query": "query"}
MOST_FLAWS = 50  # a body of ten thousand unknown fields is not worth ten thousand sentences
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
    detail = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return Flaw(pointer_to(tokens), detail, str(error["type"]).replace("_", "-"), where)


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
