"""Who waits for more waits the longer the faster events come, and hardly where they come one by one."""

from __future__ import annotations

import pytest

from redress_spine.messaging import pace
from redress_spine.messaging.pace import Pace
from redress_spine.messaging.polling import ENOUGH, LONG_POLL_MS, gather


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "monotonic", clock)
    return clock


@pytest.mark.parametrize(("rate", "wait"), [(10, 0.002), (50, 0.01), (100, 0.02), (1_000, 0.025)])
def test_so_many_events_a_second_are_worth_so_long_a_wait(clock: Clock, rate: int, wait: float) -> None:
    some = Pace(0.0002, 0.025)
    for _ in range(rate * 5):
        clock.now += 1 / rate
        some.came(1)
    assert some.wait == pytest.approx(wait, rel=0.25)


def test_one_by_one_is_not_waited_for_and_what_was_is_forgotten(clock: Clock) -> None:
    some = Pace(0.0002, 0.025)
    assert some.wait == 0
    some.came(1)
    assert some.wait < 0.001
    some.came(10_000)
    assert some.wait == 0.025
    clock.now += 5
    assert some.wait < 0.001


def test_a_fetch_waits_for_more_only_where_it_is_told_to() -> None:
    class Fetcher:
        _fetch_min_bytes = 1
        _fetch_max_wait_ms = LONG_POLL_MS

    class Client:
        _fetcher = Fetcher()

    gather(Client(), 12)
    assert (Fetcher._fetch_min_bytes, Client._fetcher._fetch_min_bytes, Client._fetcher._fetch_max_wait_ms) == (1, ENOUGH, 12)
    gather(Client(), 0)
    assert (Client._fetcher._fetch_min_bytes, Client._fetcher._fetch_max_wait_ms) == (1, LONG_POLL_MS)
