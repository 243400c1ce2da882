"""What stands in clear of products and areas: codes of the operator's catalogue, and one for all that it does not have."""

from __future__ import annotations

import re

OTHER = "other"
CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_CODE = 40  # characters


def is_code(text: str) -> bool:
    return len(text) <= LONGEST_CODE and CODE.fullmatch(text) is not None


def in_clear(label: str | None) -> str | None:
    """What may be published: a code as it is. What was said before there was a catalogue may be anything, and is `other`."""
    return label if label is None or is_code(label) else OTHER
