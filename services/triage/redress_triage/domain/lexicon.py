"""Finds terms in a text in one pass: each at most once, with its place in code points, never its words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from string import ascii_lowercase, digits

import opencc

from redress_triage.domain.negation import Denials, Negation, Negators

# A gap between two pieces stays within one clause.
CLAUSE = ",.!?;。《》"
LATIN = "a-z0-9"
LETTERS = frozenset(ascii_lowercase + digits)
# What is written and not seen: zero-width characters, soft hyphens, variation selectors, marks over and around other characters.
UNSEEN = frozenset({"Cf", "Mn", "Me"})
MASK = "\0"
WINDOW = 200  # code points behind a denied reading in which another one is looked for


@dataclass(frozen=True, slots=True)
class Term:
    """Patterns in the taxonomy file's notation. words say that something is so, and a negator denies it. subjects name a thing or a wish:
    a negator before one denies nothing."""

    id: str
    words: tuple[str, ...]
    subjects: tuple[str, ...] = ()


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
    negation: Negation = Negation()


@dataclass(frozen=True, slots=True)
class Reading:
    """A word at its place. pieces: what it covers. denied: the text says that it is not so."""

    term: str
    pieces: tuple[tuple[int, int], ...]
    denied: bool

    @property
    def says(self) -> tuple[int, int, bool]:
        """Of readings at one place the greatest counts."""
        return sum(end - start for start, end in self.pieces), -self.pieces[-1][1], not self.denied


@dataclass(frozen=True, slots=True)
class Word:
    """One compiled word of a term. seeds: what each piece's alternatives begin with: quickly seen whether a text can hold it at all."""

    term: str
    pattern: re.Pattern[str]
    seeds: tuple[tuple[str, ...], ...]
    deniable: bool

    def possible_in(self, folded: str) -> bool:
        return all(any(seed in folded for seed in piece) for piece in self.seeds)

    def read(self, folded: str, place: int, denials: Denials) -> Reading | None:
        """What stands here, in the first reading that nothing denies; if all are denied, in the first."""
        match = self.pattern.match(folded, place)
        if match is None:
            return None
        first = pieces = _pieces(match)
        begin = max(0, place - 1)  # a word looks at one character before it
        window = folded[begin : match.end() + WINDOW]
        while self.deniable and (denied := self._denied(pieces, denials)) is not None:
            window = window[: denied - begin] + MASK + window[denied - begin + 1 :]
            again = self.pattern.match(window, place - begin)
            if again is None:
                return Reading(self.term, first, denied=True)
            pieces = tuple((start + begin, end + begin) for start, end in _pieces(again))
        return Reading(self.term, pieces, denied=False)

    def _denied(self, pieces: Iterable[tuple[int, int]], denials: Denials) -> int | None:
        """Where the first denied piece begins. A negator that belongs to the word itself denies nothing: `没有~信号`."""
        own = 0
        for start, end in pieces:
            if denials.deny(start, own):
                return start
            own = end
        return None


class Lexicon:
    """Terms, compiled. Raises ValueError where two terms claim the same word, or one has none."""

    def __init__(self, terms: Iterable[Term], notation: Notation) -> None:
        self._by_head: dict[str, list[Word]] = {}
        self._negators = Negators(notation.negation, lambda written: fold(written).text)
        claimed: dict[str, str] = {}
        for term in terms:
            if not (term.words or term.subjects):
                raise ValueError(f"the term {term.id} has neither words nor subjects")
            for notated in (*term.words, *term.subjects):
                if claimed.setdefault(notated, term.id) != term.id:
                    raise ValueError(f"the word {notated!r} belongs to two terms: {claimed[notated]} and {term.id}")
                pieces = tuple(tuple(piece.split("|")) for piece in fold(notated).text.split("~"))
                seeds = tuple(tuple(map(_seed, piece)) for piece in pieces)
                word = Word(term.id, _pattern(pieces, notation), seeds, deniable=notated in term.words)
                for head in dict.fromkeys(_seed(alternative)[:2] for alternative in pieces[0]):
                    self._by_head.setdefault(head, []).append(word)

    def find(self, text: str) -> list[Found]:
        """Terms in order of first occurrence. Of matches at one place the one whose pieces say most counts, then the one with the smallest
        gaps, then the first in the file. What its pieces cover is taken, what lies in its gaps is not. What is denied is taken too, so that
        `网速不慢` does not speak of the speed either; but it is not found.

        Linear in the text's length: at each place only the few words that begin with these two code points are tried, and of them
        only those whose pieces all occur in the text.
        """
        folded = fold(text)
        pairs = list(map("".join, pairwise(folded.text + " ")))
        heads = self._by_head
        here = {pair: words for pair in set(pairs) if (pair in heads or pair[0] in heads) and (words := self._possible(pair, folded.text))}
        denials = Denials(self._negators, folded.text)
        taken = bytearray(len(pairs))
        found: dict[str, Found] = {}
        for place, pair in enumerate(pairs):
            if pair not in here or taken[place] or (pair[0] in LETTERS and place and pairs[place - 1][0] in LETTERS):
                continue
            readings = [reading for word in here[pair] if (reading := word.read(folded.text, place, denials))]
            if readings:
                best = max(readings, key=lambda reading: reading.says)
                if not best.denied:
                    found.setdefault(best.term, folded.found(best))
                for start, end in best.pieces:
                    taken[start:end] = b"\1" * (end - start)
        return list(found.values())

    def _possible(self, pair: str, folded: str) -> list[Word]:
        words = (*self._by_head.get(pair, ()), *self._by_head.get(pair[0], ()))
        return [word for word in words if word.possible_in(folded)]


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as it is compared. places: where each of its characters stands in the original."""

    text: str
    places: tuple[int, ...]

    def found(self, reading: Reading) -> Found:
        (start, _), (_, end) = reading.pieces[0], reading.pieces[-1]
        return Found(reading.term, self.places[start], self.places[end - 1] + 1)


def fold(text: str) -> Folded:
    """The text in one letter case, width, script and kind of space, without what cannot be seen."""
    seen = [(folded, place) for place, character in enumerate(text) if (folded := _fold(character))]
    return Folded("".join(folded for folded, _ in seen), tuple(place for _, place in seen))


@lru_cache(maxsize=8192)
def _fold(character: str) -> str:
    if character.isspace():
        return " "
    if character == "’":
        return "'"
    if unicodedata.category(character) in UNSEEN:
        return ""
    folded = unicodedata.normalize("NFKC", character).lower()
    return _simplified().convert(folded) if len(folded) == 1 else character


@cache
def _simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _pieces(match: re.Match[str]) -> tuple[tuple[int, int], ...]:
    return tuple(match.span(piece) for piece in range(1, match.re.groups + 1))


def _pattern(pieces: Sequence[Sequence[str]], notation: Notation) -> re.Pattern[str]:
    regex = _any_of(pieces[0])
    for before, piece in pairwise(pieces):
        gap = notation.latin if all(_is_latin(word) for word in (*before, *piece)) else notation.han
        regex += f"[^{CLAUSE}]{{0,{gap}}}?{_any_of(piece)}"
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
