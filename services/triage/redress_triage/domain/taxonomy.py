"""The taxonomy: categories, their names, and the words by which rules know them, read from a file. (Handbook 6.1.2)"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from redress_events.contracts.triage import Category, Severity
from redress_events.vocabulary import ContactKind
from redress_triage.domain.lexicon import Lexicon, Notation, Term
from redress_triage.domain.negation import Negation


class Part(BaseModel):
    """A piece of a policy file: what the reader does not know is a mistake in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Names(Part):
    """What people call it."""

    zh: str
    en: str


class TopicTerm(Part):
    id: str
    weight: float = Field(gt=0)
    words: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class SubCategory(Part):
    names: Names
    terms: tuple[TopicTerm, ...]


class CategoryEntry(Part):
    names: Names
    sub_categories: dict[str, SubCategory]


class SeverityTerm(Part):
    id: str
    severity: Severity
    words: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()


class SeverityRules(Part):
    default: Severity
    kinds: dict[ContactKind, Severity]
    terms: tuple[SeverityTerm, ...]


class Confidence(Part):
    enough: float = Field(gt=0)
    limit: float = Field(gt=0, le=1)


class Gap(Part):
    han: int
    latin: int


class NegationRules(Part):
    negators: dict[str, Annotated[int, Field(ge=0, le=5)]]
    between: tuple[str, ...]
    affirming: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """What a found term speaks for."""

    category: Category
    sub_category: str
    weight: float


class Taxonomy(Part):
    id: str
    version: int
    confidence: Confidence
    gap: Gap
    negation: NegationRules
    nothing_found: str  # the sub-category of `other` for a text that says nothing the rules know
    categories: dict[Category, CategoryEntry]
    severity: SeverityRules

    @model_validator(mode="after")
    def _sound(self) -> Self:
        """A term's id is its own, and so is each of its words; a text that says nothing has a sub-category."""
        ids = [term.id for entry in self.categories.values() for sub in entry.sub_categories.values() for term in sub.terms]
        ids += [term.id for term in self.severity.terms]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"used for two terms: {sorted(twice)}")
        if not self.knows("other", self.nothing_found):
            raise ValueError(f"nothing_found: the category other has no sub-category {self.nothing_found!r}")
        _ = self.about, self.gravity  # compiled now, so that a wrong word is found at the start and not by the first complaint
        return self

    @property
    def ref(self) -> str:
        return f"{self.id}@{self.version}"

    def knows(self, category: Category, sub_category: str) -> bool:
        return category in self.categories and sub_category in self.categories[category].sub_categories

    @cached_property
    def topics(self) -> dict[str, Topic]:
        """Of each term, by its id."""
        return {
            term.id: Topic(category, name, term.weight)
            for category, entry in self.categories.items()
            for name, sub_category in entry.sub_categories.items()
            for term in sub_category.terms
        }

    @cached_property
    def severities(self) -> dict[str, Severity]:
        return {term.id: term.severity for term in self.severity.terms}

    @cached_property
    def about(self) -> Lexicon:
        """Finds what a text is about."""
        terms = [
            term for entry in self.categories.values() for sub_category in entry.sub_categories.values() for term in sub_category.terms
        ]
        return self._lexicon(terms)

    @cached_property
    def gravity(self) -> Lexicon:
        """Finds what makes it grave. A lexicon of its own: no topic may cover a threat."""
        return self._lexicon(self.severity.terms)

    def _lexicon(self, terms: list[TopicTerm] | tuple[SeverityTerm, ...]) -> Lexicon:
        rules = self.negation
        notation = Notation(self.gap.han, self.gap.latin, Negation(rules.negators, rules.between, rules.affirming))
        return Lexicon((Term(term.id, term.words, term.subjects) for term in terms), notation)
