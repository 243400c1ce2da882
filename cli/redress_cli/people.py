"""The people of the demo over HTTP: front ends post, handlers work, supervisors decide, agents call back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from redress_cli.api import Api
from redress_cli.cast import Story
from redress_local.state import Stack


class DemoFailed(Exception):
    """Something that must work did not."""


class People:
    """Everybody who works with the system, each with a token of his own."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._front_end = Api(stack, "front-end", "demo-app")
        self._agent = Api(stack, "agent", "agent-zhou")
        self._supervisor = Api(stack, "supervisor", "supervisor-lin")
        self._handlers: dict[str, Api] = {}

    def register(self, story: Story) -> dict[str, Any]:
        """Post one complaint; the answer has its id and number."""
        body = {"kind": "complaint"} | story.body
        if story.days_ago:
            body["received_at"] = (datetime.now(UTC) - timedelta(days=story.days_ago)).isoformat()
        return expect(self._front_end.post("intake", "/complaints", body), 201)

    def add_words(self, complaint: str, story: Story) -> None:
        """What the customer says afterwards."""
        if story.supplement:
            expect(self._front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": story.supplement}), 200)
        if story.withdrawn:
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
        """Each department takes its cases one step further."""
        acted = 0
        for case in self._supervisor.all("handling", "/cases"):
            story = stories.get(case["complaint"])
            if story is None or story.withdrawn:
                continue
            acted += self._work_on(self._handler(case["department"]), case["complaint"], story)
        return acted

    def _work_on(self, handler: Api, complaint: str, story: Story) -> int:
        steps: list[tuple[str, dict[str, Any]]] = [
            ("accept", {}),
            ("contact", {"means": "phone", "note": "Apologised and asked since when."}),
            ("progress", {"note": "Found the cause."}),
        ]
        if story.rejected:
            steps.append(("reject", {"reason": "The contract runs until June; explained the clause.", "told_customer": "phone"}))
        else:
            resolved = {
                "cause": "Faulty record",
                "measures": "Put right and checked",
                "responsible_unit": "Field team 2",
                "told_customer": "phone",
            }
            steps.append(("resolve", resolved))
        for name, body in steps:
            answer = handler.post("handling", f"/cases/{complaint}/{name}", body)
            if not happened(answer):
                return 0  # it moved to another department meanwhile, or was closed
        return 1

    def call_back(self, stories: Mapping[str, Story], missed: dict[str, int]) -> int:
        """Agents call who is due. missed counts, by complaint, the calls that reached nobody."""
        acted = 0
        for visit in self._agent.all("callback", "/visits"):
            story = stories.get(visit["complaint"])
            if story is None:
                continue
            if missed.get(visit["complaint"], 0) < story.missed:
                missed[visit["complaint"]] = missed.get(visit["complaint"], 0) + 1
                body: dict[str, Any] = {"reached": False, "note": "Nobody answered."}
            else:
                score = story.scores[min(visit["cycle"], len(story.scores)) - 1]
                body = {"reached": True, "solved": score >= 3, "satisfaction": score, "words": "谢谢" if score >= 3 else "还是老样子"}
            acted += happened(self._agent.post("callback", f"/visits/{visit['complaint']}/attempts", body))
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
