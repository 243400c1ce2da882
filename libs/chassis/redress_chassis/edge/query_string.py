"""The query string, as strict as a body: a parameter that the route does not know is refused, and one that is given twice.

No parameter here has several values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from urllib.parse import parse_qsl

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from redress_chassis.api.validation import MOST_FLAWS, SENTENCES, Flaw, pointer_to
from redress_chassis.edge.problems import invalid


class Guarded:
    """What a route serves, for requests that ask of it what it knows."""

    def __init__(self, served: ASGIApp, known: Collection[str]) -> None:
        self._served = served
        self._known = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:
            check(scope["query_string"], self._known)
        await self._served(scope, receive, send)


def known_to(route: BaseRoute) -> frozenset[str]:
    """The query parameters that a route declares."""
    return frozenset(_known(route.dependant)) if isinstance(route, APIRoute) else frozenset()


def check(query: bytes, known: Collection[str]) -> None:
    """Raises a 422 `invalid` that names each parameter."""
    given = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    found = [_flaw(name, name in known) for name, times in given.items() if name not in known or times > 1]
    if found:
        raise invalid(found[:MOST_FLAWS])


def _flaw(name: str, known: bool) -> Flaw:
    if known:
        return Flaw(pointer_to([name]), "Give it once.", "repeated", "query")
    return Flaw(pointer_to([name]), SENTENCES["extra_forbidden"], "extra-forbidden", "query")


def _known(dependant: Dependant) -> Iterator[str]:
    yield from (each.alias for each in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _known(dependency)
