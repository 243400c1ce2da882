"""Finds terms in a text in one pass: each at most once, with its place in code points, never its words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from string import ascii_lowercase, digits

# A gap between two pieces stays within one clause.
CLAUSE = ",.!?;。《》"
LATIN = "a-z0-9"
LETTERS = frozenset(ascii_lowercase + digits)


@dataclass(frozen=True, slots=True)
class Term:
    """words: patterns in the taxonomy file's notation. unless_negated: a negator right before a piece takes the match away."""

    id: str
    words: tuple[str, ...]
    unless_negated: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A term at `[start, end)` of the text, in Unicode code points."""

    term: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Notation:
    """How far apart two pieces may stand, in code points, and what negates."""

    han: int
    latin: int
    negators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """One compiled word of a term. seeds: what each piece's alternatives begin with: quickly seen whether a text can hold it at all."""

    term: str
    pattern: re.Pattern[str]
    seeds: tuple[tuple[str, ...], ...]

    def possible_in(self, folded: str) -> bool:
        return all(any(seed in folded for seed in piece) for piece in self.seeds)


class Lexicon:
    """Terms, compiled. Raises ValueError where two terms claim the same word."""

    def __init__(self, terms: Iterable[Term], notation: Notation) -> None:
        self._by_head: dict[str, list[Word]] = {}
        claimed: dict[str, str] = {}
        for term in terms:
            for notated in term.words:
                if claimed.setdefault(notated, term.id) != term.id:
                    raise ValueError(f"the word {notated!r} belongs to two terms: {claimed[notated]} and {term.id}")
                pieces = tuple(tuple(piece.split("|")) for piece in fold(notated).split("~"))
                word = Word(term.id, _pattern(pieces, notation, term.unless_negated), tuple(tuple(map(_seed, piece)) for piece in pieces))
                for head in dict.fromkeys(_seed(alternative)[:2] for alternative in pieces[0]):
                    self._by_head.setdefault(head, []).append(word)

    def find(self, text: str) -> list[Found]:
        """Terms in order of first occurrence. Of matches at one place the one whose pieces say most counts, then the one with the smallest
        gaps, then the first in the file. What its pieces cover is taken, what lies in its gaps is not.

        Linear in the text's length: at each place only the few words that begin with these two code points are tried, and of them
        only those whose pieces all occur in the text.
        """
        folded = fold(text)
        pairs = list(map("".join, pairwise(folded + " ")))
        heads = self._by_head
        here = {pair: words for pair in set(pairs) if (pair in heads or pair[0] in heads) and (words := self._possible(pair, folded))}
        taken = bytearray(len(folded))
        found: dict[str, Found] = {}
        for place, pair in enumerate(pairs):
            if pair not in here or taken[place] or (pair[0] in LETTERS and place and folded[place - 1] in LETTERS):
                continue
            matches = [(match, word.term) for word in here[pair] if (match := word.pattern.match(folded, place))]
            if matches:
                match, term = max(matches, key=_says)
                found.setdefault(term, Found(term, place, match.end()))
                for start, end in _pieces(match):
                    taken[start:end] = b"\1" * (end - start)
        return list(found.values())

    def _possible(self, pair: str, folded: str) -> list[Word]:
        words = (*self._by_head.get(pair, ()), *self._by_head.get(pair[0], ()))
        return [word for word in words if word.possible_in(folded)]


def fold(text: str) -> str:
    """The text in one letter case, width and kind of space. It keeps its length, so places in it are places in the text."""
    return "".join(map(_fold, text))


@lru_cache(maxsize=8192)
def _fold(character: str) -> str:
    if character.isspace():
        return " "
    if character == "’":
        return "'"
    folded = unicodedata.normalize("NFKC", character).lower()
    return folded if len(folded) == 1 else character


def _pieces(match: re.Match[str]) -> list[tuple[int, int]]:
    return [match.span(piece) for piece in range(1, match.re.groups + 1)]


def _says(candidate: tuple[re.Match[str], str]) -> tuple[int, int]:
    match, _ = candidate
    return sum(end - start for start, end in _pieces(match)), -match.end()


def _pattern(pieces: Sequence[Sequence[str]], notation: Notation, unless_negated: bool) -> re.Pattern[str]:
    affirmed = "".join(f"(?<!{re.escape(fold(negator))})" for negator in notation.negators) if unless_negated else ""
    regex = affirmed + _any_of(pieces[0])
    for before, piece in pairwise(pieces):
        gap = notation.latin if all(_is_latin(word) for word in (*before, *piece)) else notation.han
        regex += f"[^{CLAUSE}]{{0,{gap}}}?{affirmed}{_any_of(piece)}"
    return re.compile(regex)


def _seed(alternative: str) -> str:
    """What stands in every text that holds this alternative: spaces may be more there, a star anything."""
    return alternative.removesuffix("*").split(" ")[0]


def _any_of(alternatives: Sequence[str]) -> str:
    return f"({'|'.join(map(_whole, sorted(alternatives, key=len, reverse=True)))})"


def _whole(word: str) -> str:
    """A Latin word ends where its letters end; Han characters have no such ends."""
    before = f"(?<![{LATIN}])" if _is_latin(word[0]) else ""
    after = f"[{LATIN}]*" if word.endswith("*") else f"(?![{LATIN}])" if _is_latin(word[-1]) else ""
    return before + re.escape(word.removesuffix("*")).replace(r"\ ", " +") + after


def _is_latin(word: str) -> bool:
    return word.isascii()
