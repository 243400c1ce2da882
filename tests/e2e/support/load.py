"""Load that never gives up: posters that repeat each post under its key until it is answered, and people who work whatever comes in."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import httpx
import typer
from live import CHARGED, CONTACT, RESOLVE, SLOW, UNCLEAR, Live, client

ANSWER_TIMEOUT = 120.0  # seconds that a poster tries one post
ANSWER_WITHIN = 10.0  # seconds; a stopped process takes connections, and answers none of them
QUESTION = "What does roaming in Portugal cost, and from which day on?"
CONSULTATION = {"channel": "app", "text": QUESTION, "kind": "consultation"}  # due within seconds where quick-policy.yaml is in force
COMPLAINTS = tuple({"channel": "app", "text": text} for text in (SLOW, CHARGED, UNCLEAR))
MIXED = (*COMPLAINTS, CONSULTATION)
DUE_IN = timedelta(seconds=20)  # quick-policy.yaml
DECIDED = {"category": "other", "sub_category": "staff_conduct", "severity": "serious", "reason": "Read and decided."}
VISITED = {"reached": True, "solved": True, "satisfaction": 4}
UNHAPPY = {"reached": True, "solved": False, "satisfaction": 1}


class Load:
    """Posters; each post goes to the replicas of intake in turn. answered: key → complaint."""

    def __init__(self, live: Live, bodies: Sequence[dict[str, Any]] = COMPLAINTS) -> None:
        self.answered: dict[str, str] = {}
        self.cut_off = 0  # posts that got no answer, or a 503, and were sent again
        self._live = live
        self._before = self._registered()
        self._bodies = bodies
        self._token = live.system.issuer.mint("front-end", "front-end-one")
        self._lock = threading.Lock()
        self._retry = threading.Event()

    @property
    def complaints(self) -> list[str]:
        return list(self.answered.values())

    def has_answered(self, count: int) -> bool:
        return len(self.answered) >= count

    def doubled(self) -> list[str]:
        """Says so where more or fewer complaints were registered since the load began than it was answered; nobody else registers any."""
        made, answers = self._registered() - self._before, len(set(self.complaints))
        keys = len(self.answered)
        return [] if made == answers == keys else [f"{keys} keys were answered by {answers} complaints, and {made} were registered"]

    def _registered(self) -> int:
        return len(self._live.events("intake", "complaint-registered"))

    def post(self, number: int, spoken: Callable[[str], object] = lambda _: None) -> str:
        """One complaint, until it is answered; its id, of which `spoken` is told before anybody works on it. Raises AssertionError for an
        answer that is neither 201 nor an honest 503."""
        key = f"load-{id(self)}-{number}"
        body = {**self._bodies[number % len(self._bodies)], "customer": f"Customer {number}"}
        headers = {"authorization": f"Bearer {self._token}", "idempotency-key": key}
        replicas, end = itertools.cycle(self._live.replicas("intake")), monotonic() + ANSWER_TIMEOUT
        for _ in range(number % 2):
            next(replicas)
        while monotonic() < end:
            try:
                with client(next(replicas), headers, ANSWER_WITHIN) as http:
                    answer = http.post("/complaints", json=body)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 201:
                complaint: str = answer.json()["id"]
                spoken(complaint)
                with self._lock:
                    self.answered[key] = complaint
                return complaint
            assert answer is None or answer.status_code == 503, answer.text
            with self._lock:
                self.cut_off += 1
            self._retry.wait(0.05)
        raise AssertionError(f"post {number} was not answered within {ANSWER_TIMEOUT:.0f} s")

    @contextmanager
    def going_on(self, posters: int = 2, pause: float = 0.6) -> Iterator[None]:
        """Posts for the length of a block, each poster one after the other with these seconds between two. All of them are answered at its
        end; what one of them raised is raised there."""
        numbers, ended = itertools.count(), threading.Event()

        def post() -> None:
            while not ended.wait(pause):
                self.post(next(numbers))

        with ThreadPoolExecutor(posters) as threads:
            posting = [threads.submit(post) for _ in range(posters)]
            try:
                yield
            finally:
                ended.set()
            for each in posting:
                each.result()


class Staff:
    """Everybody inside who works on what `complaints` names: supervisors decide, departments resolve, agents call back. A step that nobody
    answers is taken up again in a later turn. Every second consultation is left until its deadline has passed; every seventh customer is
    unhappy once."""

    def __init__(self, live: Live, complaints: Callable[[], Sequence[str]]) -> None:
        self._live = live
        self._complaints = complaints

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Turn after turn for the length of a block."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.2):
                self.turn()

        with ThreadPoolExecutor(1) as thread:
            working = thread.submit(work)
            try:
                yield
            finally:
                ended.set()
            working.result()

    def turn(self) -> int:
        """Whatever can be done now; how many steps were taken. 0 where a service did not answer for long."""
        ours, taken = set(self._complaints()), 0
        for look in (self._reviews, self._cases, self._visits):
            try:
                taken += look(ours)
            except typer.Exit:  # the command line's way to say that nobody answers
                continue
        return taken

    def is_left(self, complaint: str) -> bool:
        """Whether nobody touches it before its deadline, if it has a near one."""
        return int(complaint[-1], 16) % 2 == 1

    def _reviews(self, ours: set[str]) -> int:
        reviews = [each["id"] for each in self._live.supervisor.all("triage", "/reviews") if each["id"] in ours]
        return sum(self._took(self._live.supervisor.post("triage", f"/complaints/{each}/reclassification", DECIDED)) for each in reviews)

    def _cases(self, ours: set[str]) -> int:
        taken = 0
        for case in self._live.supervisor.all("handling", "/cases"):
            complaint = case["complaint"]
            if complaint not in ours or (case["kind"] == "consultation" and self._waits(case)):
                continue
            handler = self._live.handler(case["department"])
            for name, body in (("accept", {}), ("contact", CONTACT), ("resolve", RESOLVE)):
                if not self._took(handler.post("handling", f"/cases/{complaint}/{name}", body)):
                    break
                taken += 1
        return taken

    def _waits(self, case: dict[str, Any]) -> bool:
        due = datetime.fromisoformat(case["received_at"]) + DUE_IN
        return self.is_left(case["complaint"]) and datetime.now(UTC) < due + timedelta(seconds=1)

    def _visits(self, ours: set[str]) -> int:
        taken = 0
        for visit in self._live.agent.all("callback", "/visits"):
            if (complaint := visit["complaint"]) in ours:
                unhappy = visit["cycle"] == 1 and int(complaint[-3:], 16) % 7 == 0
                taken += self._took(self._live.agent.post("callback", f"/visits/{complaint}/attempts", UNHAPPY if unhappy else VISITED))
        return taken

    def _took(self, answer: httpx.Response) -> int:
        """1 if the step was taken; 0 if it was taken before, the case went elsewhere, or nobody could answer."""
        assert answer.status_code in (200, 404, 409, 503), f"{answer.request.url}: {answer.status_code} {answer.text[:300]}"
        return int(answer.status_code == 200)
