"""What a benchmark comes to: lines with a median, a spread and a limit, and a message on what bounds it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Bound:
    """What a value has to be, and what it aims at."""

    how: Literal["at least", "at most"]
    value: float
    aim: float | None = None

    def holds(self, value: float) -> bool:
        return value >= self.value if self.how == "at least" else value <= self.value


@dataclass(frozen=True)
class Line:
    """One value with its spread (lowest and highest round)."""

    what: str
    unit: str
    value: float
    low: float
    high: float
    limit: Bound | None = None

    @classmethod
    def of(cls, what: str, unit: str, values: Sequence[float], limit: Bound | None = None) -> Line:
        """The median of these rounds."""
        return cls(what, unit, statistics.median(values), min(values), max(values), limit)

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "holds" if self.limit.holds(self.value) else "MISSED"


@dataclass
class Figure:
    """One benchmark's result. how: what was measured, in a message. bound: what bounds it."""

    name: str
    how: str
    bound: str
    rounds: int
    lines: list[Line]
    notes: list[str] = field(default_factory=list)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def ratios(pairs: Sequence[tuple[float, float]]) -> list[float]:
    """Ours over theirs, pair by pair: what disturbs the machine for longer than a pair disturbs both."""
    return [ours / theirs for ours, theirs in pairs]
