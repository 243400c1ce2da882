"""What the rules say about a text: category, severity, how sure they are, and where it stands. Pure and deterministic. (Handbook 6.1.2)"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from redress_events.contracts.triage import Category, Evidence, Severity
from redress_events.vocabulary import ContactKind
from redress_triage.domain.taxonomy import Taxonomy

GRAVITY: tuple[Severity, ...] = ("minor", "normal", "serious", "major")


@dataclass(frozen=True, slots=True)
class Judgement:
    """confidence: 0 to 1, two decimals. review: a person has to decide."""

    category: Category
    sub_category: str
    severity: Severity
    confidence: float
    evidence: tuple[Evidence, ...]
    review: bool


def judge(taxonomy: Taxonomy, text: str, kind: ContactKind) -> Judgement:
    """The category with the greatest weight of terms, and in it the sub-category with the greatest; of equals the first in the file."""
    topics = taxonomy.about.find(text)
    grave = taxonomy.gravity.find(text)
    weights: dict[Category, float] = defaultdict(float)
    subs: dict[tuple[Category, str], float] = defaultdict(float)
    for found in topics:
        topic = taxonomy.topics[found.term]
        weights[topic.category] += topic.weight
        subs[topic.category, topic.sub_category] += topic.weight
    category, sub_category, confidence = _heaviest(taxonomy, weights, subs)
    usual = taxonomy.severity.kinds.get(kind, taxonomy.severity.default)
    return Judgement(
        category,
        sub_category,
        max((usual, *(taxonomy.severities[found.term] for found in grave)), key=GRAVITY.index),
        confidence,
        tuple(Evidence(start=found.start, end=found.end, term=found.term) for found in sorted((*topics, *grave), key=lambda f: f.start)),
        confidence < taxonomy.confidence.limit,
    )


def _heaviest(taxonomy: Taxonomy, weights: dict[Category, float], subs: dict[tuple[Category, str], float]) -> tuple[Category, str, float]:
    if not weights:
        return "other", taxonomy.nothing_found, 0.0
    category = max((name for name in taxonomy.categories if name in weights), key=lambda name: weights[name])
    names = (name for name in taxonomy.categories[category].sub_categories if (category, name) in subs)
    share = weights[category] / sum(weights.values())
    confidence = round(share * min(1.0, weights[category] / taxonomy.confidence.enough), 2)
    return category, max(names, key=lambda name: subs[category, name]), confidence
