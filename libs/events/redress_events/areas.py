"""Where something is, as people write it: the name of an area, and when two such names mean the same one."""

from __future__ import annotations

import unicodedata


def normal_area(text: str) -> str:
    """The form by which names of areas are compared: full width, capitals and spaces say nothing. It is its own normal form."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def area_key(text: str | None) -> str | None:
    """The same of what may be left out; a name of nothing but spaces is none."""
    return (normal_area(text) or None) if text is not None else None
