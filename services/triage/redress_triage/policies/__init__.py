"""The rules in force, read from the files beside this one."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from redress_triage.domain.routing import read_table
from redress_triage.domain.rules import Rules
from redress_triage.domain.taxonomy import read_taxonomy


@cache
def rules_in_force() -> Rules:
    """Raises ValueError where a file is wrong: the service does not start on it."""
    here = files(__package__)
    taxonomy = read_taxonomy((here / "taxonomy.yaml").read_text("utf-8"))
    return Rules(taxonomy, read_table((here / "routing.yaml").read_text("utf-8"), taxonomy))
