"""What a request's path alone decides: whether it needs a token, whether it is counted, and at which port it is answered."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import Scope

OPS_STATE = "redress.ops"  # in the state of an ASGI scope: the request came to the port for operations
OPS_PREFIX = "/ops/"


class Paths:
    """health: answered at every port. uncounted: measures and the like, which nobody may be kept from. documents: without a token, too.

    Where operations have a port of their own, measures, documents and /ops are there alone, and nothing else is but health.
    """

    def __init__(
        self, health: Collection[str], measures: Collection[str], documents: Collection[str], others: Collection[str] = ()
    ) -> None:
        self.health = frozenset(health)
        self.uncounted = frozenset({*health, *measures, *others})
        self.open = self.uncounted | frozenset(documents)
        self._of_operations = frozenset({*measures, *documents})

    def elsewhere(self, path: str, scope: Scope) -> bool:
        """Whether this path is answered at another port than the one that the request came to, if there are two."""
        if path in self.health:
            return False
        of_operations = path in self._of_operations or path.startswith(OPS_PREFIX)
        return of_operations != bool(scope.get("state", {}).get(OPS_STATE))
