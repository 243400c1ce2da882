"""A complaint that is followed as a page follows it: its stages as server-sent events, and what was missed after a break."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator

import httpx
import pytest
from live import CONTACT, SLOW, SOON, Live, eventually, ok, problem

from redress_local.places import ROOT

NODE = shutil.which("node")
PATH = "/complaints/{}/stages/stream"


class Page:
    """A reader of the stream in a thread of its own, as a browser reads it: what came, and the id of the last event that had one."""

    def __init__(self, live: Live, complaint: str, last: str | None = None, seconds: float = SOON) -> None:
        headers = {"authorization": f"Bearer {live.stack.token_issuer().mint('agent', 'desk')}"} | ({"last-event-id": last} if last else {})
        self.stages: list[str] = []
        self.last: str | None = last
        self.ended = threading.Event()
        self.whole = False
        self.headers: httpx.Headers | None = None
        self._url, self._asked, self._seconds = live.stack.urls["intake"] + PATH.format(complaint), headers, seconds
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with httpx.stream("GET", self._url, headers=self._asked, timeout=self._seconds) as answer:
                assert answer.status_code == 200, answer.read()
                self.headers = answer.headers
                stage = ""
                for line in answer.iter_lines():
                    if self._leave.is_set():
                        return
                    if line.startswith("data: "):
                        stage = json.loads(line.removeprefix("data: "))["stage"]
                    elif line.startswith("id: "):
                        self.last = line.removeprefix("id: ")
                    elif not line and stage:
                        self.stages.append(stage)
                        stage = ""
                self.whole = True
        finally:
            self.ended.set()

    def leave(self) -> None:
        self._leave.set()


@pytest.fixture
def pages() -> Iterator[list[Page]]:
    made: list[Page] = []
    yield made
    for each in made:
        each.leave()


def test_stages_come_as_they_are_reached_and_after_a_break_those_that_were_missed(live: Live, pages: list[Page]):
    complaint = live.register(SLOW)
    first = Page(live, complaint)
    pages.append(first)
    eventually(lambda: "routed" in first.stages, "the first stages come")
    assert first.headers is not None and first.headers["content-type"].startswith("text/event-stream")
    assert first.headers["cache-control"] == "no-store"
    live.case(complaint, "technical_support")
    live.step(complaint, "technical_support", "accept")
    eventually(lambda: "in-handling" in first.stages, "the next one comes")
    seen, last = list(first.stages), first.last
    first.leave()
    live.step(complaint, "technical_support", "contact", CONTACT)
    live.reaches(complaint, "contacted")
    second = Page(live, complaint, last)
    pages.append(second)
    eventually(lambda: second.stages == ["contacted"], "what was missed comes, and nothing again")
    assert seen == ["classified", "routed", "in-handling"]
    third = Page(live, complaint, second.last)
    pages.append(third)
    live.step(complaint, "technical_support", "progress", {"note": "The splice was found."})
    eventually(lambda: third.stages == ["progress-reported"], "who has seen all gets what is new")


def test_a_stage_of_an_earlier_time_that_comes_late_is_told_too(live: Live, pages: list[Page]):
    """The contact was before the case was accepted: it stands before that in the list, and was not seen yet."""
    complaint = live.register(SLOW)
    live.case(complaint, "technical_support")
    live.step(complaint, "technical_support", "accept")
    page = Page(live, complaint)
    pages.append(page)
    eventually(lambda: "in-handling" in page.stages, "the stages until now come")
    at = ok(live.agent.get("intake", f"/complaints/{complaint}"))["registered_at"]
    live.step(complaint, "technical_support", "contact", CONTACT | {"contacted_at": at})
    eventually(lambda: page.stages[-1] == "contacted", "the late one comes")


@pytest.mark.skipif(NODE is None, reason="there is no node on this machine")
def test_the_pages_program_follows_a_complaint(live: Live):
    """docs/webhooks.md, as it stands there."""
    (program,) = re.findall(r"```javascript\n(async function follow.*?)```", (ROOT / "docs/webhooks.md").read_text("utf-8"), re.DOTALL)
    complaint = live.register(SLOW)
    url, token = live.stack.urls["intake"] + PATH.format(complaint), live.stack.token_issuer().mint("agent", "desk")
    ends = f"""
    const show = (stage) => {{ console.log(stage.stage); stage.stage === "routed" && process.exit(); }};
    follow({json.dumps(url)}, async () => {json.dumps(token)}, show);
    """
    assert NODE is not None
    done = subprocess.run([NODE, "--eval", program + ends], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.split()) == (0, ["classified", "routed"]), done.stderr


def test_who_may_not_read_it_may_not_follow_it_and_what_is_no_id_is_said(live: Live):
    complaint = live.register(SLOW)
    path = PATH.format(complaint)
    problem(live.api("bi").get("intake", path), 403, "wrong-role")
    problem(live.agent.get("intake", PATH.format("0199a3c2-6d1e-7a0b-9a52-6c8a3f1c7d55")), 404, "not-found")
    token = live.stack.token_issuer().mint("agent", "desk")
    with httpx.Client(base_url=live.stack.urls["intake"], headers={"authorization": f"Bearer {token}"}, timeout=SOON) as client:
        head, after = client.head(path), client.get("/health/live")
        assert (head.status_code, after.status_code) == (200, 200), "a HEAD follows nothing, and the connection goes on"
        assert head.headers["content-type"].startswith("text/event-stream")
    for bad in ("here", "intake:0", "intake:1,", "a:1;b:2", "intake:" + "9" * 19):
        answer = httpx.get(
            live.stack.urls["intake"] + path, headers={"authorization": f"Bearer {token}", "last-event-id": bad}, timeout=SOON
        )
        problem(answer, 400, "bad-cursor")


def test_a_service_that_ends_does_not_wait_for_those_who_follow(shaken: Live, pages: list[Page]):
    complaint = shaken.register(SLOW)
    page = Page(shaken, complaint, seconds=120)
    pages.append(page)
    eventually(lambda: "routed" in page.stages, "the first stages come")
    shaken.system.stop_service("intake")
    assert page.ended.wait(60)
    assert page.whole  # it was ended, and not broken off when those who are left are
    shaken.system.start_service("intake")
    again = Page(shaken, complaint, page.last)
    pages.append(again)
    shaken.case(complaint, "technical_support")
    shaken.step(complaint, "technical_support", "accept")
    eventually(lambda: again.stages == ["in-handling"], "and goes on where it was")
