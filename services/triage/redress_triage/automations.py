"""What triage does by itself: a complaint is classified, and so routed."""

from __future__ import annotations

from functools import partial

from redress_spine.aggregate import Automation
from redress_triage.domain.classify import classify, text_of
from redress_triage.domain.lists import WAITING
from redress_triage.domain.rules import Rules


def automations(rules: Rules) -> list[Automation]:
    return [classify_by(rules)]


def classify_by(rules: Rules) -> Automation:
    return Automation(
        "classify",
        due="to_classify",
        decide=partial(classify, rules=rules),
        index="waiting_to_classify",
        opens=text_of,
        actor=rules.actor,
        table=WAITING,
    )
