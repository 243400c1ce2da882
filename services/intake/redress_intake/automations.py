"""What intake decides by itself: nothing. What it does to others is in reactors.py."""

from redress_intake.domain.first_answer import FirstAnswer
from redress_spine.aggregate import Automation


def automations(first_answer: FirstAnswer) -> list[Automation]:
    return []
