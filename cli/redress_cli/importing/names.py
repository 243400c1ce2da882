"""The names in names.yaml: what files call columns, channels and kinds of contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import yaml

NAMES: Mapping[str, Mapping[str, list[str]]] = yaml.safe_load((files(__package__) / "names.yaml").read_text("utf-8"))


def meanings(what: str, own: Iterable[str] = ()) -> Mapping[str, Any]:
    """What each name means. own: things that are understood by their own name."""
    return {**{thing: thing for thing in own}, **{name: thing for thing, names in NAMES[what].items() for name in names}}
