"""Two processes of every service: one of each is killed by SIGKILL and comes back, in turn, while complaints come in and people work on
them. Nothing is lost, doubled or left lying."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from live import Live, eventually
from load import MIXED, Load, Staff
from verdicts import Unrest, ends_well

from redress_local.places import SERVICES, replica_name
from redress_local.system import System

QUICK_POLICY = Path(__file__).with_name("quick-policy.yaml")
SETTLE = 5.0
ROUNDS = 2
POSTS_A_ROUND = 8


@pytest.fixture(scope="module")
def doubled(system: Callable[..., System]) -> Iterator[Live]:
    started = system(replicas=2, settle_seconds=SETTLE, environment={"REDRESS_POLICY": str(QUICK_POLICY)})
    with closing(Live(started)) as made:
        yield made


@pytest.mark.slow
def test_one_replica_of_each_service_killed_in_turn_loses_and_doubles_nothing(doubled: Live):
    load, unrest = Load(doubled, MIXED), Unrest(SETTLE)
    staff = Staff(doubled, lambda: load.complaints)
    with load.going_on(), staff.at_work():
        for round_ in range(ROUNDS):
            enough = len(load.answered) + POSTS_A_ROUND
            eventually(partial(load.has_answered, enough), f"{enough} posts are answered", 60)
            killed = [replica_name(service, 1 + (round_ + n) % 2) for n, service in enumerate(SERVICES)]
            with unrest.now():
                for name in killed:
                    doubled.system.kill(name)
                for name in killed:
                    doubled.system.start_service(name, wait=False)
                doubled.system.wait_ready(killed)
    assert load.cut_off > 0, "the kills cut posts off"
    ends_well(doubled, load, staff, unrest)
