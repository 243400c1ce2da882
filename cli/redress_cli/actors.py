"""The people of the demo over HTTP: front ends post, handlers work, supervisors decide, agents call back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from redress_cli.api import Api
from redress_cli.scenario import Story
from redress_cli.stack_target import of_stack
from redress_local.state import Stack


class DemoFailed(Exception):
    """Something that must work did not."""


class Actors:
    """Everybody who works with the system, each with a token of their own. They remember how often they took up what."""

    def __init__(self, stack: Stack) -> None:
        self._stack = of_stack(stack)
        self._front_end = Api(self._stack, "front-end", "demo-app")
        self._agent = Api(self._stack, "agent", "agent-zhou")
        self._supervisor = Api(self._stack, "supervisor", "supervisor-lin")
        self._handlers: dict[str, Api] = {}
        self._sessions = Counter[tuple[str, int]]()  # by complaint and cycle
        self._missed = Counter[str]()

    def register(self, story: Story) -> str:
        """Post one complaint; its id."""
        body = {"kind": "complaint"} | story.body
        if story.received:
            body["received_at"] = story.received.isoformat()
        return str(expect(self._front_end.post("intake", "/complaints", body), 201)["id"])

    def supplement(self, complaint: str, text: str) -> None:
        expect(self._front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": text}), 200)

    def withdraw(self, complaint: str) -> None:
        expect(self._front_end.post("intake", f"/complaints/{complaint}/withdrawal", {"reason": "It works again."}), 200)

    def decide_reviews(self, stories: Mapping[str, Story]) -> int:
        """A supervisor decides what the rules were not sure of."""
        acted = 0
        for review in self._supervisor.all("triage", "/reviews"):
            story = stories.get(review["id"])
            if story is None or story.withdrawn:
                continue
            decided = story.decided or {"category": review["category"], "sub_category": review["sub_category"]}
            answer = self._supervisor.post(
                "triage", f"/complaints/{review['id']}/reclassification", decided | {"reason": "Read and decided."}
            )
            acted += happened(answer)
        return acted

    def work_on_cases(self, stories: Mapping[str, Story]) -> int:
        """One session: each department takes its cases on, and ends those that it has had for long enough."""
        acted = 0
        for case in self._supervisor.all("handling", "/cases"):
            story = stories.get(case["complaint"])
            if story is None or story.withdrawn:
                continue
            self._sessions[case["complaint"], case["cycle"]] += 1
            handler = self._handler(case["department"])
            for step, body in steps(story, self._sessions[case["complaint"], case["cycle"]]):
                if not happened(handler.post("handling", f"/cases/{case['complaint']}/{step}", body)):
                    self._sessions[case["complaint"], case["cycle"]] = 0  # it moved to another department meanwhile, or was closed
                    break
                acted += 1
        return acted

    def call_back(self, stories: Mapping[str, Story], now: datetime | None = None) -> int:
        """Agents call who is due by now; without a time everybody on the list."""
        acted = 0
        for visit in self._agent.all("callback", "/visits"):
            complaint, story = visit["complaint"], stories.get(visit["complaint"])
            if story is None or (now and datetime.fromisoformat(visit["visit_at"]) > now):
                continue
            if self._missed[complaint] < story.missed:
                self._missed[complaint] += 1
                body: dict[str, Any] = {"reached": False, "note": "Nobody answered."}
            else:
                score = story.scores[min(visit["cycle"], len(story.scores)) - 1]
                body = {"reached": True, "solved": score >= 3, "satisfaction": score, "words": "谢谢" if score >= 3 else "还是老样子"}
            acted += happened(self._agent.post("callback", f"/visits/{complaint}/attempts", body))
        return acted

    def status(self, complaint: str) -> dict[str, Any]:
        return expect(self._agent.get("intake", f"/complaints/{complaint}"), 200)

    def clocks(self, complaint: str) -> list[dict[str, Any]]:
        clocks: list[dict[str, Any]] = expect(self._agent.get("sla-monitor", f"/complaints/{complaint}/clocks"), 200)["clocks"]
        return clocks

    def _handler(self, department: str) -> Api:
        if department not in self._handlers:
            self._handlers[department] = Api(self._stack, "handler", f"handler-{department}", department)
        return self._handlers[department]


def steps(story: Story, session: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the department does with the case when it takes it up for the n-th time."""
    if session == 1:
        yield "accept", {}
        yield "contact", {"means": "phone", "note": "Apologised and asked since when."}
    if session == 2 or session == story.sessions == 1:
        yield "progress", {"note": "Found the cause."}
    if session == story.sessions and story.rejected:
        yield "reject", {"reason": "The contract runs until June; explained the clause.", "told_customer": "phone"}
    elif session == story.sessions:
        done = {"cause": "Faulty record", "measures": "Put right and checked", "responsible_unit": "Field team 2"}
        yield "resolve", done | {"told_customer": "phone"}


def expect(answer: httpx.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise DemoFailed(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text[:400]}")
    content: dict[str, Any] = answer.json()
    return content


def happened(answer: httpx.Response) -> int:
    """1 if the step was taken; 0 if somebody else was first (404, 409). Raises DemoFailed for anything else."""
    if answer.status_code in (404, 409):
        return 0
    expect(answer, 200)
    return 1
