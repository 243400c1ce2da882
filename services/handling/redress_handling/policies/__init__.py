"""The numbers and names that handling's rules take from data."""

from importlib.resources import files

import yaml
from pydantic import TypeAdapter


def departments() -> frozenset[str]:
    """Where a case can be transferred to. Raises ValidationError for a file that is no list of names."""
    return frozenset(TypeAdapter(list[str]).validate_python(yaml.safe_load((files(__name__) / "departments.yaml").read_text("utf-8"))))
