"""What a customer is told as soon as their complaint has a number: what happens next, and by when. (Handbook 2.4.1)"""

from __future__ import annotations

import math
from itertools import product
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, PositiveInt, model_validator

from redress_events.vocabulary import ContactKind

Language = Literal["en", "zh"]
LONGEST_LIST = 20  # languages of a header that are looked at


class FirstAnswer(BaseModel):
    """The policy: a limit in working days, counted from receipt, and a sentence for each kind of contact and language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: int
    working_days: PositiveInt
    sentences: dict[ContactKind, dict[Language, str]]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Whatever a customer comes with, in whatever language, there is a sentence for it."""
        for kind, language in product(get_args(ContactKind), get_args(Language)):
            if language not in self.sentences.get(kind, {}):
                raise ValueError(f"sentences.{kind}.{language}: there is no sentence; every kind needs one in each language")
            try:
                self.sentence(kind, language)
            except (KeyError, ValueError, IndexError):
                raise ValueError(f"sentences.{kind}.{language}: the only placeholder is {{within}}") from None
        return self

    def sentence(self, kind: ContactKind, language: Language) -> str:
        return self.sentences[kind][language].format(within=_within(self.working_days, language))


def _within(days: int, language: Language) -> str:
    if language == "zh":
        return f"{days}个工作日"
    return f"{days} working day{'' if days == 1 else 's'}"


def language_of(accepted: str | None) -> Language:
    """The best of ours in an Accept-Language header, English where it wants neither. (RFC 9110, 12.5.4)"""
    best: tuple[float, Language] = (0.0, "en")
    for item in (accepted or "").split(",")[:LONGEST_LIST]:
        tag, _, parameter = item.strip().lower().partition(";")
        weight = _weight(parameter)
        for language in ("zh", "en"):
            if tag.split("-")[0].strip() == language and weight > best[0]:
                best = (weight, language)
    return best[1]


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        weight = float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
    return weight if math.isfinite(weight) else 0.0
