"""The numbers that callback's rules take from data. ° marks those that no document gives."""

from importlib.resources import files

import yaml
from pydantic import TypeAdapter

from redress_callback.domain.policy import Policy


def return_visit() -> Policy:
    """Raises ValidationError for a file that is no policy."""
    return TypeAdapter(Policy).validate_python(yaml.safe_load((files(__name__) / "return-visit.yaml").read_text("utf-8")))
