"""No process is so important that the system loses or doubles anything when it dies by SIGKILL in the middle of its work."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
from hurry import run_scenario
from live import Live, eventually
from load import MIXED, Load, Staff
from verdicts import Unrest, ends_well

from redress_cli import api
from redress_local.kafka import Kafka
from redress_local.places import SERVICES
from redress_local.postgres import Postgres

POSTERS, POSTS = 8, 160
KILLED_AT = (40, 100)  # answers


def test_what_intake_answered_is_there_once_though_it_was_killed_twice_under_load(shaken: Live):
    load, before = Load(shaken), len(shaken.events("intake", "complaint-registered"))
    with ThreadPoolExecutor(POSTERS) as threads:
        posts = [threads.submit(load.post, number) for number in range(POSTS)]
        for count in KILLED_AT:
            eventually(partial(load.has_answered, count), f"{count} posts are answered", 60)
            shaken.system.kill("intake")
            assert len(load.answered) < POSTS, "it was killed under load"
            shaken.system.start_service("intake")
        for post in posts:
            post.result()
    assert load.cut_off > 0, "the kills cut posts off"
    assert len(set(load.complaints)) == POSTS
    shaken.idle()
    shaken.registered_once(load.complaints)
    assert len(shaken.events("intake", "complaint-registered")) == before + POSTS
    routed = Counter(shaken.events("triage", "complaint-routed"))
    assert all(routed[f"complaint/{complaint}"] == 1 for complaint in load.complaints), "each has found its department once"
    shaken.verified()


# An event of each service by which it is in the middle of the play, and how many of them.
IN_THE_MIDDLE = {
    "triage": ("complaint-classified", 3),
    "sla-monitor": ("clock-started", 6),
    "handling": ("case-accepted", 3),
    "callback": ("satisfaction-recorded", 2),
}


def test_every_complaint_ends_though_each_other_service_was_killed_on_its_way(shaken: Live, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "TRIES", 25)  # a start takes its time on a machine that is busy with other things
    begun = {service: len(shaken.events(service, event)) for service, (event, _) in IN_THE_MIDDLE.items()}
    with ThreadPoolExecutor(1) as threads:
        playing: Future[dict[str, object]] = threads.submit(run_scenario, shaken.stack, 2)  # type: ignore[arg-type]  # stories are objects
        for service, (event, count) in IN_THE_MIDDLE.items():

            def far_enough(service: str = service, event: str = event, count: int = count) -> bool:
                return playing.done() or len(shaken.events(service, event)) >= begun[service] + count

            eventually(far_enough, f"{service} has said {event} {count} times", 120)
            assert not playing.done(), playing.result()
            shaken.system.kill(service)
            shaken.system.start_service(service, wait=False)
        complaints = list(playing.result())
    for complaint in complaints:
        shaken.reaches(complaint, "closed", cycle=shaken.view(complaint)["cycle"])
    shaken.verified()
    shaken.registered_once(complaints)
    ends = Counter(shaken.events("callback", "complaint-closed"))
    assert {ends[f"complaint/{complaint}"] for complaint in complaints} == {1}
    published = Counter((each.subject, each.version) for each in shaken.log() if "closed-complaint" in each.type)
    assert {published[f"closed/{complaint}", 1] for complaint in complaints} == {1}


def test_everything_killed_at_once_in_the_middle_of_load_comes_back_with_all_that_was_answered(
    shaken: Live, kafka: Kafka, postgres: Postgres
):
    load, unrest = Load(shaken, MIXED), Unrest(shaken.system.settle_seconds)
    staff = Staff(shaken, lambda: load.complaints)
    with load.going_on(posters=6, pause=0.2), staff.at_work():
        eventually(partial(load.has_answered, 30), "posts are answered", 60)
        with unrest.now():
            postgres.kill()  # first, for what it has answered must be on disk at that instant
            for service in SERVICES:
                shaken.system.kill(service)
            kafka.kill()
            answered = len(load.answered)
            postgres.launch()
            kafka.launch()
            postgres.wait_ready()
            for service in SERVICES:  # as after a power cut: none waits for the others
                shaken.system.start_service(service, wait=False)
            kafka.wait_ready()
            shaken.system.wait_ready()
        eventually(partial(load.has_answered, answered + 10), "posts are answered again", 60)
    assert load.cut_off > 0, "the kills cut posts off"
    ends_well(shaken, load, staff, unrest)
