"""Which cycles the public record shows one by one: the first, and the last ones, so that neither it nor a state grows forever."""

from __future__ import annotations

from typing import Protocol, TypeVar

MOST = 20


class _InCycle(Protocol):
    @property
    def cycle(self) -> int: ...


Part = TypeVar("Part", bound=_InCycle)


def shown(parts: tuple[Part, ...], latest: int) -> tuple[Part, ...]:
    """Those of cycles that are shown while this is the latest one."""
    return tuple(each for each in parts if each.cycle == 1 or each.cycle > latest - MOST + 1)
