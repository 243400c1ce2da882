"""What triage decides by, read from the files beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from redress_chassis import PolicyUnusable, read_policy
from redress_triage.domain.routing import RoutingTable
from redress_triage.domain.rules import Rules
from redress_triage.domain.taxonomy import Taxonomy

TAXONOMY = Path(__file__).parent / "taxonomy.yaml"
ROUTING = Path(__file__).parent / "routing.yaml"


def in_force(environment: Mapping[str, str] = {}, *, taxonomy: Path = TAXONOMY, routing: Path = ROUTING) -> Rules:
    """The taxonomy, and the table that says where each of its classes goes. Raises PolicyUnusable."""
    classes, table = read_policy(taxonomy, Taxonomy), read_policy(routing, RoutingTable)
    try:
        return Rules(classes, table)
    except ValueError as error:
        raise PolicyUnusable.at(routing, [("", str(error))]) from None
