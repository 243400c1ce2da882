"""One key is one complaint, however many send it at once and however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from live import SLOW, Live, eventually, fresh_key, ok, problem

AT_ONCE = 50
BODY = {"channel": "app", "text": SLOW, "customer": "Li Na"}


def test_fifty_posts_with_one_key_at_once_are_one_complaint_and_fifty_equal_answers(live: Live):
    key, before = fresh_key(), len(live.events("intake", "complaint-registered"))
    start = Barrier(AT_ONCE)
    clients = [live.http("intake") for _ in range(5)]  # several connections each

    def post(number: int) -> tuple[int, bytes, str, str]:
        start.wait(30)
        answer = clients[number % len(clients)].post("/complaints", json=BODY, headers={"idempotency-key": key})
        return answer.status_code, answer.content, answer.headers["location"], answer.headers["etag"]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(post, range(AT_ONCE)))
    assert {answer[0] for answer in answers} == {201}, answers
    assert len({answer[:3] for answer in answers}) == 1, answers
    after = live.events("intake", "complaint-registered")
    assert len(after) == before + 1
    complaint = after[-1].partition("/")[2]
    assert answers[0][2] == f"/complaints/{complaint}"

    eventually(lambda: live.view(complaint)["stage"] == "routed", "the one complaint is on its way")
    live.registered_once([complaint])
    again = live.http("intake").post("/complaints", json=BODY, headers={"idempotency-key": key})
    assert (again.status_code, again.content) == answers[0][:2], "the answer is the same when the complaint has moved on"
    other = live.http("intake").post("/complaints", json={**BODY, "customer": "Li Nan"}, headers={"idempotency-key": key})
    problem(other, 422, "idempotency-key-reused")


def test_a_step_that_is_said_again_under_its_key_happens_once(live: Live):
    complaint = live.register(SLOW)
    key, before = fresh_key(), len(live.events("intake", "complaint-supplemented"))
    answers = [live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "Again tonight."}, key=key) for _ in range(3)]
    assert {(ok(answer)["said"]["n"], answer.json()["counts"]["supplements"]) for answer in answers} == {(1, 1)}
    assert len(live.events("intake", "complaint-supplemented")) == before + 1
    # Another caller's key of the same name is another key, and so is the same key for another route.
    ok(live.agent.post("intake", f"/complaints/{complaint}/supplements", {"text": "Again tonight."}, key=key))
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {}, key=key))
    assert len(live.events("intake", "complaint-supplemented")) == before + 2
