"""Arrays of numbers as PostgreSQL's own text: asyncpg asks of each element, in Python, whether it is an array itself.

`INSERT … SELECT * FROM unnest($1::text[], $2::text::bigint[])`: texts and bytes go as lists, numbers and booleans as one text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NUMBERS = frozenset({"smallint", "int", "bigint", "boolean"})


def parameter(n: int, kind: str | None) -> str:
    """The n-th parameter, for an array of this type; None where the statement says what it is."""
    if kind is None:
        return f"${n}"
    return f"${n}::text::{kind}[]" if kind in NUMBERS else f"${n}::{kind}[]"


def argument(kind: str | None, values: Sequence[object]) -> str | list[object]:
    """What is given for it. Whatever is no number is refused by PostgreSQL, as DataError."""
    return numbers(values) if kind in NUMBERS else list(values)


def numbers(values: Iterable[object]) -> str:
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"
