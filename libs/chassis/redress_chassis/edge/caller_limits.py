"""How much one caller may ask for: a token bucket each, by the generic cell rate algorithm, which keeps one instant of a caller."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import Scope

from redress_chassis.edge.problems import too_many

REMEMBERED = 10_000  # callers; whom one more puts out begins with a full bucket
NETWORK_BITS = 64  # of an IPv6 address: what one customer of a provider has at least


class CallerLimits:
    """rate: requests a second, 0 for no limit; burst: so many at once. now: seconds."""

    def __init__(self, rate: float, burst: int, now: Callable[[], float] = time.monotonic) -> None:
        self._apart = 1 / rate if rate else 0.0
        self._ahead = (burst - 0.99) * self._apart  # by which a caller may be ahead of their rate; a hundredth for what is lost by rounding
        self._now = now
        self._due: OrderedDict[str, float] = OrderedDict()  # when the bucket of each is full again; who asked last stands last

    def take(self, caller: str) -> None:
        """Count one request. Raises a 429, which says when there is room for the next; what is refused is not counted."""
        if not self._apart:
            return
        now, due = self._now(), self._due
        ahead = max(due.get(caller, now) - now, 0.0)
        if ahead > self._ahead:
            raise too_many(ahead - self._ahead)
        due[caller] = now + ahead + self._apart
        due.move_to_end(caller)
        if len(due) > REMEMBERED:
            due.popitem(last=False)


def address_of(scope: Scope) -> str:
    """Whose connection it is, or who is behind a trusted proxy. Of an IPv6 address its network, for one caller has all addresses of it."""
    host: str = (scope.get("client") or ("",))[0]
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], NETWORK_BITS), strict=False))
    except ValueError:
        return host
