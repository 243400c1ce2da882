"""What intake takes from data: the first answer to a customer, and the catalogue of products and areas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from redress_chassis import PolicyUnusable, read_policy
from redress_intake.domain.catalogue import Catalogue
from redress_intake.domain.first_answer import FirstAnswer

FIRST_ANSWER = Path(__file__).parent / "first-answer-1.yaml"
CATALOGUE = Path(__file__).parent / "catalogue.yaml"
SETTING = "REDRESS_CATALOGUE"


@dataclass(frozen=True, slots=True)
class IntakePolicies:
    """first_answer: what a customer is told as soon as their complaint has a number. catalogue: which products and areas are known."""

    first_answer: FirstAnswer
    catalogue: Catalogue


def in_force(environment: Mapping[str, str] = {}, *, first_answer: Path = FIRST_ANSWER) -> IntakePolicies:
    """The catalogue is of the file that REDRESS_CATALOGUE names, else an example. Raises PolicyUnusable."""
    return IntakePolicies(read_policy(first_answer, FirstAnswer), _catalogue(Path(environment.get(SETTING) or CATALOGUE)))


def _catalogue(path: Path) -> Catalogue:
    catalogue = read_policy(path, Catalogue, SETTING)
    if doubles := list(catalogue.doubles()):
        raise PolicyUnusable.at(path, doubles, SETTING)
    return catalogue
