"""Entity tags: a command may name the state it was meant for, and is refused when that state is gone. (RFC 9110, 13.1.1)"""

from __future__ import annotations

import re

from redress_chassis.edge.problems import Problem

TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


def quoted(etag: str) -> str:
    return f'"{etag}"'


def check(if_match: str | None, etag: str) -> None:
    """Raises a 412 unless the header is absent, `*`, or lists this tag. Weak tags never match: two states would pass for one."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag not in strong_tags(if_match):
        raise Problem(412, "precondition-failed", "This has changed since you read it. Read it again, then decide again.")


def strong_tags(header: str) -> list[str]:
    """The strong tags of a list; what is malformed ends it."""
    found, position = [], 0
    while match := TAG.match(header, position):
        if not match[1]:
            found.append(match[2])
        position = match.end()
    return found
