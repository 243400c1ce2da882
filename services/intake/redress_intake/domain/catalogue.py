"""The operator's products and areas: a code for programs and statistics, names in both languages, and what else people call them.

What a front end says is looked up in a normal form: width, capitals, spaces and punctuation say nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from redress_events.catalogue import LONGEST_CODE, OTHER, is_code

KEPT = ("L", "N")  # general categories; and the plus sign, by which products are distinguished


def normal_label(text: str) -> str:
    """The form by which labels are compared. It is its own normal form."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = "".join([each for each in folded if each == "+" or unicodedata.category(each)[0] in KEPT])
    return unicodedata.normalize("NFKC", kept)  # what stood apart may stand together now


def _code(text: str) -> str:
    if text == OTHER:
        raise ValueError(f"{OTHER} is everything that stands in no catalogue: choose another code.")
    if not is_code(text):
        near = "-".join(re.findall("[a-z0-9]+", unicodedata.normalize("NFKC", text).lower()))
        example = near if is_code(near) else "fibre-500"
        raise ValueError(f"A code has up to {LONGEST_CODE} small Latin letters, digits and single hyphens: write it like {example}.")
    return text


def _name(text: str) -> str:
    if not normal_label(text):
        raise ValueError("Write a name with letters or digits.")
    return text


EntryName = Annotated[str, AfterValidator(_name)]


class CatalogueEntry(BaseModel):
    """A product or an area. en, zh: its names. aliases: what else it is called, in whatever language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[str, AfterValidator(_code)]
    en: EntryName
    zh: EntryName
    aliases: tuple[EntryName, ...] = ()

    def labels(self) -> Iterator[str]:
        yield from (self.code, self.en, self.zh, *self.aliases)


class Catalogue(BaseModel):
    """Without entries nothing is known, and all that is said is `other`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: tuple[CatalogueEntry, ...] = ()
    areas: tuple[CatalogueEntry, ...] = ()

    def product(self, said: str | None) -> str | None:
        """Its code, `other` for what is not known, None where nothing was said."""
        return _found(self._products, said)

    def area(self, said: str | None) -> str | None:
        """The same of an area."""
        return _found(self._areas, said)

    def doubles(self) -> Iterator[tuple[str, str]]:
        """Places where a label stands that means another entry already, as `products.3`, and what is wrong."""
        for kind, entries in (("products", self.products), ("areas", self.areas)):
            known: dict[str, CatalogueEntry] = {}
            for n, entry in enumerate(entries):
                for label in entry.labels():
                    before = known.setdefault(normal_label(label), entry)
                    if before is not entry:
                        yield f"{kind}.{n}", f'"{label}" means {before.code} already: leave it out at one of the two, or write it in full.'

    @cached_property
    def _products(self) -> Mapping[str, str]:
        return _codes(self.products)

    @cached_property
    def _areas(self) -> Mapping[str, str]:
        return _codes(self.areas)


def _codes(entries: Sequence[CatalogueEntry]) -> Mapping[str, str]:
    return {normal_label(label): entry.code for entry in entries for label in entry.labels()}


def _found(codes: Mapping[str, str], said: str | None) -> str | None:
    return None if said is None else codes.get(normal_label(said), OTHER)


NOTHING_KNOWN = Catalogue()
