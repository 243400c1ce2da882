"""No process is so important that the system loses or doubles anything when it dies by SIGKILL in the middle of its work."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic

import httpx
import pytest
from hurry import play
from live import CHARGED, SLOW, UNCLEAR, Live, eventually

from redress_cli import api

POSTERS, POSTS = 8, 160
KILLED_AT = (40, 100)  # answers
PATIENCE = 90.0  # seconds that a poster tries one post


class Load:
    """Posters that repeat each post under its key until it is answered. answered: key → complaint."""

    def __init__(self, live: Live) -> None:
        self.answered: dict[str, str] = {}
        self.cut_off = 0  # posts that got no answer, or a 503, and were sent again
        self._live = live
        self._lock = threading.Lock()
        self._retry = threading.Event()

    def has_answered(self, count: int) -> bool:
        return len(self.answered) >= count

    def post(self, number: int) -> None:
        key = f"load-{id(self)}-{number}"
        body = {"channel": "app", "text": (SLOW, CHARGED, UNCLEAR)[number % 3], "customer": f"Customer {number}"}
        end = monotonic() + PATIENCE
        with self._live.http("intake") as client:
            while monotonic() < end:
                try:
                    answer = client.post("/complaints", json=body, headers={"idempotency-key": key})
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code == 201:
                    with self._lock:
                        self.answered[key] = answer.json()["id"]
                    return
                assert answer is None or answer.status_code == 503, answer.text
                with self._lock:
                    self.cut_off += 1
                self._retry.wait(0.05)
        pytest.fail(f"post {number} was not answered within {PATIENCE:.0f} s")


def test_what_intake_answered_is_there_once_though_it_was_killed_twice_under_load(shaken: Live):
    load, before = Load(shaken), len(shaken.facts("intake", "complaint-registered"))
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
    assert len(set(load.answered.values())) == POSTS
    shaken.quiet()
    shaken.registered_once(list(load.answered.values()))
    assert len(shaken.facts("intake", "complaint-registered")) == before + POSTS
    routed = Counter(shaken.facts("triage", "complaint-routed"))
    assert all(routed[f"complaint/{complaint}"] == 1 for complaint in load.answered.values()), "each has found its department once"
    shaken.verified()


# A fact of each service by which it is in the middle of the play, and how many of them.
IN_THE_MIDDLE = {
    "triage": ("complaint-classified", 3),
    "sla-monitor": ("clock-started", 6),
    "handling": ("case-accepted", 3),
    "callback": ("satisfaction-recorded", 2),
}


def test_every_complaint_ends_though_each_other_service_was_killed_on_its_way(shaken: Live, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(api, "TRIES", 25)  # a start takes its time on a machine that is busy with other things
    begun = {service: len(shaken.facts(service, fact)) for service, (fact, _) in IN_THE_MIDDLE.items()}
    with ThreadPoolExecutor(1) as threads:
        playing: Future[dict[str, object]] = threads.submit(play, shaken.stack, 2)  # type: ignore[arg-type]  # stories are objects
        for service, (fact, count) in IN_THE_MIDDLE.items():

            def far_enough(service: str = service, fact: str = fact, count: int = count) -> bool:
                return playing.done() or len(shaken.facts(service, fact)) >= begun[service] + count

            eventually(far_enough, f"{service} has said {fact} {count} times", 120)
            assert not playing.done(), playing.result()
            shaken.system.kill(service)
            shaken.system.start_service(service, wait=False)
        complaints = list(playing.result())
    for complaint in complaints:
        shaken.reaches(complaint, "closed", cycle=shaken.view(complaint)["cycle"])
    shaken.verified()
    shaken.registered_once(complaints)
    ends = Counter(shaken.facts("callback", "complaint-closed"))
    assert {ends[f"complaint/{complaint}"] for complaint in complaints} == {1}
    published = Counter((each.subject, each.version) for each in shaken.log() if "closed-complaint" in each.type)
    assert {published[f"closed/{complaint}", 1] for complaint in complaints} == {1}
