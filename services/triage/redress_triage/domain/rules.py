"""What triage decides by: the taxonomy, and the table that says where each of its classes goes."""

from __future__ import annotations

from dataclasses import dataclass

from redress_triage.domain.routing import RoutingTable
from redress_triage.domain.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Rules:
    """Raises ValueError where the table speaks of a sub-category that the taxonomy does not know."""

    taxonomy: Taxonomy
    table: RoutingTable

    def __post_init__(self) -> None:
        for n, rule in enumerate(self.table.rules):
            if rule.sub_category and not (rule.category and self.taxonomy.knows(rule.category, rule.sub_category)):
                entry = self.taxonomy.categories.get(rule.category) if rule.category else None
                known = ", ".join(entry.sub_categories) if entry else "none"
                raise ValueError(f"rules.{n}: no sub-category {rule.sub_category!r} in {rule.category!r}; there are {known}")

    @property
    def actor(self) -> str:
        """Who decides when the rules do: `rules@telecom-2`."""
        return f"rules@{self.taxonomy.id}-{self.taxonomy.version}"
