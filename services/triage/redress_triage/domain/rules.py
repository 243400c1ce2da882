"""What triage decides by: the taxonomy, and the table that says where each of its classes goes."""

from __future__ import annotations

from dataclasses import dataclass

from redress_triage.domain.routing import Table
from redress_triage.domain.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Rules:
    taxonomy: Taxonomy
    table: Table

    @property
    def actor(self) -> str:
        """Who decides when the rules do: `rules@telecom-2`."""
        return f"rules@{self.taxonomy.id}-{self.taxonomy.version}"
