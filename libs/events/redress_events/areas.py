"""Where something is, as people write it: the name of an area, and when two such names mean the same one."""

from __future__ import annotations

import unicodedata

from redress_events.catalogue import OTHER


def normal_area(text: str) -> str:
    """The form by which names of areas are compared: full width, capitals and spaces say nothing. It is its own normal form."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def area_key(text: str | None) -> str | None:
    """The same of what may be left out. A name of nothing but spaces is none, and so is what the operator's catalogue does not have: nobody
    knows where that is."""
    key = normal_area(text) if text is not None else ""
    return key if key not in ("", OTHER) else None
