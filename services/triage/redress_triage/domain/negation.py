"""Negation, as a language has it: what stands right before a word and denies it, whatever the word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


@dataclass(frozen=True, slots=True)
class Negation:
    """negators: each with its reach, the number of words from `between` that may stand between it and what it denies (`不太慢`).
    affirming: what looks like a negator and is none (`要不`). A star at the beginning: a Latin word with this ending."""

    negators: Mapping[str, int] = field(default_factory=dict)
    between: Sequence[str] = ()
    affirming: Sequence[str] = ()


class Negators:
    """Compiled. fold: how texts are folded that it will be asked about."""

    def __init__(self, negation: Negation, fold: Callable[[str], str]) -> None:
        self._reaches = {fold(word): reach for word, reach in negation.negators.items()}
        self._negators = _by_last(self._reaches)
        self._between = _by_last(map(fold, negation.between))
        self._affirming = _by_last(map(fold, negation.affirming))

    def before(self, folded: str, place: int) -> Iterator[int]:
        """Where the negators begin that stand before what begins at `place`, the nearest first. Whatever is neither a negator nor a word
        between ends the search, so it never leaves the clause."""
        while (negator := self._negator_before(folded, place)) is not None:
            yield negator
            place = negator

    def _negator_before(self, folded: str, place: int) -> int | None:
        passed = 0
        while True:
            while place and folded[place - 1] == " ":
                place -= 1
            if _ending(self._affirming, folded, place):
                return None
            negator = _ending(self._negators, folded, place)
            if negator and passed <= self._reaches[negator]:
                return place - len(negator.removeprefix("*"))
            word = _ending(self._between, folded, place)
            if not word:
                return None
            passed, place = passed + 1, place - len(word)


class Denials:
    """What is denied in one text."""

    def __init__(self, negators: Negators, folded: str) -> None:
        self._before = cache(lambda place: tuple(negators.before(folded, place)))

    def deny(self, place: int, floor: int) -> bool:
        """Is what begins at `place` denied by what stands from `floor` on? Two negators affirm: `不是不慢`."""
        return sum(negator >= floor for negator in self._before(place)) % 2 == 1


def _by_last(words: Iterable[str]) -> dict[str, list[str]]:
    """By their last character, the longest first."""
    ending: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        ending.setdefault(word[-1], []).append(word)
    return ending


def _ending(words: Mapping[str, Sequence[str]], folded: str, end: int) -> str | None:
    """The longest of the words that ends here."""
    return next((word for word in words.get(folded[end - 1 : end], ()) if _ends(word, folded, end)), None)


def _ends(word: str, folded: str, end: int) -> bool:
    if not folded.endswith(word.removeprefix("*"), 0, end):
        return False
    start = end - len(word)
    return not word[0].isascii() or word[0] == "*" or start == 0 or folded[start - 1] not in LETTERS
