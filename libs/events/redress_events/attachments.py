"""What a complaint came with: the log has numbers, and the names that a front end gave are sealed, one on each line."""

from __future__ import annotations

from collections.abc import Sequence


def numbered(names: Sequence[str], after: int = 0) -> tuple[str, ...]:
    """An id for each, unique within a complaint that has so many already."""
    return tuple(str(after + n) for n in range(1, len(names) + 1))


def joined(names: Sequence[str]) -> str | None:
    """Names have no line breaks. None where there are none."""
    return "\n".join(names) or None


def names_in(text: str | None) -> tuple[str, ...]:
    """None where there are none, they were forgotten, or they are not for the caller."""
    return tuple(text.split("\n")) if text else ()


def named(reference: str | None) -> dict[str, str]:
    """What a row of a list has of sealed names: their reference."""
    return {} if reference is None else {"names": reference}
