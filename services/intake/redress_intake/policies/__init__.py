"""What intake takes from data: the first answer to a customer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from redress_chassis import read_policy
from redress_intake.domain.first_answer import FirstAnswer

FIRST_ANSWER = Path(__file__).parent / "first-answer-1.yaml"


def in_force(environment: Mapping[str, str] = {}, *, first_answer: Path = FIRST_ANSWER) -> FirstAnswer:
    """What a customer is told as soon as their complaint has a number. Raises PolicyUnusable."""
    return read_policy(first_answer, FirstAnswer)
