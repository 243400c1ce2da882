"""Entity tags: a command may name the state it was meant for, and is refused when that state is gone (RFC 9110, 13.1.1); a reading may
name the state that it knows, and is told when that is still the one (13.1.2)."""

from __future__ import annotations

import re

from redress_chassis.edge.problems import Problem

TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


class NotModified(Exception):
    """The caller knows this state: there is nothing to show them."""

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


def quoted(etag: str) -> str:
    return f'"{etag}"'


def check(if_match: str | None, etag: str) -> None:
    """Raises a 412 unless the header is absent, `*`, or lists this tag. Weak tags never match: two states would pass for one."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag not in strong_tags(if_match):
        raise Problem(412, "precondition-failed", "This has changed since you read it. Read it again, then decide again.")


def is_conditional(method: str, path: str) -> bool:
    """Whether this operation's answer shows one subject and nothing beside: its tag, which is of the state, says then whether the answer
    is another. What lies below a subject, as its lists do, may change without it. path: the route's."""
    return method in ("GET", "HEAD") and path.endswith("}") and not path.startswith("/ops/")


def expect_another(if_none_match: str | None, etag: str) -> None:
    """Raises NotModified where the header lists this tag, or is `*`. A proxy may have made it a weak one."""
    if if_none_match is not None and (if_none_match.strip() == "*" or etag in tags(if_none_match)):
        raise NotModified(etag)


def strong_tags(header: str) -> list[str]:
    return tags(header, weak=False)


def tags(header: str, weak: bool = True) -> list[str]:
    """The tags of a list, the weak ones too if they are wanted; what is malformed ends it."""
    found, position = [], 0
    while match := TAG.match(header, position):
        if weak or not match[1]:
            found.append(match[2])
        position = match.end()
    return found
