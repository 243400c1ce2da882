"""How fast events come, and how long it is worth to wait for more of them: what many share costs each of them less."""

from __future__ import annotations

from math import exp

from redress_spine.processing.clock import monotonic

FORGETS = 0.5  # seconds after which a third of what came counts still


class Pace:
    """share: seconds to wait for each event a second. most: seconds."""

    def __init__(self, share: float, most: float) -> None:
        self._share = share
        self._most = most
        self._rate = 0.0  # events a second, when it was looked at last
        self._looked = monotonic()

    def came(self, events: int) -> None:
        self._rate = self._now() + events / FORGETS

    @property
    def wait(self) -> float:
        """Seconds. Next to nothing where events come one by one."""
        self._rate = self._now()
        return min(self._most, self._rate * self._share)

    def _now(self) -> float:
        before, self._looked = self._looked, monotonic()
        return self._rate * exp((before - self._looked) / FORGETS)
