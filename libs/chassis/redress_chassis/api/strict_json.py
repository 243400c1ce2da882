"""JSON as strictly as it is kept: no duplicate names, NaN, huge numbers, NUL, lone surrogates or bottomless nesting.

PostgreSQL's jsonb refuses NUL and lone surrogates with the whole batch, orjson refuses integers above 64 bits, and readers disagree about
duplicate names (RFC 8259, 4). So they are refused at the door, each with a pointer to where it is.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from redress_chassis.api.validation import Flaw, pointer_to
from redress_chassis.edge.problems import Problem, invalid

DEEPEST = 50  # objects and arrays within each other
LARGEST_INTEGER = 2**63 - 1
DIGITS = 19  # of the largest integer; longer literals are not even converted
SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")  # escapes of NUL and of surrogates, low ones too; most of them are paired


class _Bad:
    """Stands in a parsed document for a value that must not be there."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail


class _Suspicion(Exception):
    """Something is wrong; parse again, slowly, to say where."""


def strict_json(raw: bytes) -> Any:
    """The document. Raises Problem: 400 `malformed-json`, or 422 `invalid` with pointers to what must not be there."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8.") from None
    try:
        value = _FAST.decode(text)
        if SUSPECT.search(text) or text.count("[") + text.count("{") > DEEPEST:
            raise _Suspicion
        return value
    except _Suspicion:
        return _examined(text)
    except RecursionError:
        raise _too_deep("") from None
    except ValueError as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise _malformed(f"The body is not JSON{place}.") from None


def _examined(text: str) -> Any:
    try:
        value = _SLOW.decode(text)
    except RecursionError:
        raise _too_deep("") from None
    except ValueError:
        raise _malformed("The body is not JSON.") from None
    if found := list(_flaws(value)):
        raise invalid(found[:20])
    return value


def _flaws(root: Any) -> Iterator[Flaw]:
    """Everything that must not be there, without recursion, for the nesting may be the fault."""
    waiting: deque[tuple[tuple[object, ...], Any]] = deque([((), root)])
    while waiting:
        path, value = waiting.popleft()
        match value:
            case _Bad():
                yield Flaw(pointer_to(path), value.detail, value.code)
            case str() if not _storable(value):
                yield Flaw(pointer_to(path), "NUL characters and lone surrogates cannot be stored.", "unstorable-text")
            case dict() | list() if len(path) >= DEEPEST:
                yield Flaw(pointer_to(path), f"Nested deeper than {DEEPEST}.", "too-deep")
                return
            case dict():
                for name, child in value.items():
                    if not _storable(name):
                        yield Flaw(pointer_to((*path, name)), "NUL characters and lone surrogates cannot be stored.", "unstorable-text")
                    waiting.append(((*path, name), child))
            case list():
                waiting.extend(((*path, index), child) for index, child in enumerate(value))


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Suspicion
    return found


def _object_examined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = _Bad("duplicate-name", "This name is used twice.") if name in found else value
    return found


def _integer(digits: str) -> int:
    if len(digits) > DIGITS + 1 or abs(number := int(digits)) > LARGEST_INTEGER:
        raise _Suspicion
    return number


def _integer_examined(digits: str) -> object:
    try:
        return _integer(digits)
    except _Suspicion:
        return _Bad("number-out-of-range", "The number is too large.")


def _float(text: str) -> float:
    if math.isinf(number := float(text)):
        raise _Suspicion
    return number


def _float_examined(text: str) -> object:
    return number if not math.isinf(number := float(text)) else _Bad("number-out-of-range", "The number is too large.")


def _constant(name: str) -> object:
    raise _Suspicion


def _constant_examined(name: str) -> object:
    return _Bad("not-a-number", "NaN and Infinity are not JSON.")


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed-json", detail, [Flaw("", detail, "malformed-json")])


def _too_deep(pointer: str) -> Problem:
    return invalid([Flaw(pointer, f"Nested deeper than {DEEPEST}.", "too-deep")])


_FAST = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
_SLOW = json.JSONDecoder(
    object_pairs_hook=_object_examined, parse_int=_integer_examined, parse_float=_float_examined, parse_constant=_constant_examined
)
