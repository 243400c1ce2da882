"""Every journey of a complaint that the handbook asks for, as its users drive it over HTTP: from the front door to closed, with somebody
named for the next step at every moment, and one public record for each end.

Long, for each journey is told whole, from its first call to its last.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from live import CHARGED, CONTACT, RESOLVE, SLOW, UNCLEAR, Live, eventually, ok, problem

SATISFIED: dict[str, Any] = {"reached": True, "solved": True, "satisfaction": 5, "words": "谢谢"}
UNHAPPY: dict[str, Any] = {"reached": True, "solved": False, "satisfaction": 1, "words": "还是老样子"}
MISSED: dict[str, Any] = {"reached": False, "note": "Nobody answered."}


def closed_record(live: Live, complaint: str) -> dict[str, Any]:
    """The public record of a complaint that has ended, once all is known of it. Each revision was published once; where sla-monitor was
    behind callback, there are further ones with its clocks."""
    eventually(lambda: live.public_records(complaint), f"the end of {complaint} is published")
    live.idle()
    found = live.public_records(complaint)
    assert [each["revision"] for each in found] == [*range(1, len(found) + 1)], found
    return found[-1]


def test_a_satisfied_customers_complaint_is_closed_and_somebody_owed_each_step(live: Live):
    answer = live.front_end.post(
        "intake",
        "/complaints",
        {"channel": "app", "text": SLOW, "customer": "王晓梅", "phone": "13800000001", "area": "美兰区", "product": "ＦＴＴＨ 300M"},
    )
    new = ok(answer, 201)
    complaint = new["id"]
    assert answer.headers["location"] == new["status"] == f"/complaints/{complaint}"
    assert new["next"]["sentence"]

    live.reaches(complaint, "routed", owner="department:technical_support")
    live.case(complaint, "technical_support", urgency=0)
    live.step(complaint, "technical_support", "accept")
    live.reaches(complaint, "in-handling", owner="department:technical_support")
    live.step(complaint, "technical_support", "contact", CONTACT)
    live.step(complaint, "technical_support", "progress", {"note": "The splice was found."})
    live.reaches(complaint, "contacted", owner="department:technical_support")
    live.step(complaint, "technical_support", "resolve", RESOLVE)
    seen = live.reaches(complaint, "being-visited", owner="return-visit agents")
    assert live.owed()[complaint]["by"] == seen["visit"]["due_at"]
    assert live.visit(complaint, **SATISFIED)["closed_as"] == "satisfied"

    seen = live.reaches(complaint, "closed")
    assert (seen["closed_as"], seen["category"], seen["department"]) == ("satisfied", "service_quality", "technical_support")
    assert [stage["stage"] for stage in seen["stages"]] == [
        "registered", "classified", "routed", "in-handling", "contacted", "progress-reported", "resolved", "being-visited", "closed",
    ]  # fmt: skip
    assert [each["at"] for each in seen["stages"]] == sorted(each["at"] for each in seen["stages"])
    clocks = ok(live.agent.get("sla-monitor", f"/complaints/{complaint}/clocks"))["clocks"]
    assert {(each["clock"], each["verdict"], each["in_time"]) for each in clocks} == {("classify", "none", True), ("resolve", "none", True)}
    problem(live.agent.post("callback", f"/visits/{complaint}/attempts", SATISFIED), 409, "complaint-closed")

    record = closed_record(live, complaint)
    expected = {
        "number": new["number"], "reason": "satisfied", "channel": "app", "kind": "complaint", "category": "service_quality",
        "department": "technical_support", "area": "haikou-meilan", "product": "broadband-300",
        "outcome": "resolved", "cycles": 1, "attempts": 1, "solved": True, "satisfaction": 5,
        "breaches": [], "received_at": new["received_at"], "registered_at": new["registered_at"],
    }  # fmt: skip
    assert {name: record[name] for name in expected} == expected
    assert 0 <= record["seconds_to_resolve"] <= record["seconds_to_close"]
    assert [(each["clock"], each["breached"], each["met_at"] <= each["deadline"]) for each in record["clocks"]] == [
        ("classify", False, True), ("resolve", False, True),
    ]  # fmt: skip
    assert all(each["business_seconds_left"] >= 0 for each in record["clocks"])
    assert record["registered_at"] <= record["accepted_at"] <= record["first_contacted_at"] <= record["resolved_at"]
    closing = [each for each in live.log() if each.subject == f"closed/{complaint}"]
    assert all(re.fullmatch(r"agent:~[A-Za-z0-9_-]{16}|timer", each.actor) for each in closing), "nobody is named in public"
    assert closing[0].actor != "timer"
    written = orjson.dumps(record).decode()
    assert not any(word in written for word in ("sealed:", "王晓梅", "13800000001", SLOW[:6], "谢谢"))


def test_a_dissatisfied_customer_is_handled_again_more_urgently(live: Live):
    complaint = live.register(CHARGED)
    live.reaches(complaint, "routed", owner="department:finance")
    live.work(complaint, "finance")
    assert live.visit(complaint, **UNHAPPY)["cycle"] == 2
    live.reaches(complaint, "routed", cycle=2, owner="department:finance")
    live.case(complaint, "finance", urgency=1, cycle=2)
    assert live.handler("finance").all("handling", "/cases")[0]["urgency"] >= 1, "what came back stands before what is new"
    problem(live.handler("finance").post("handling", f"/cases/{complaint}/resolve", RESOLVE), 409, "case-not-accepted")
    live.step(complaint, "finance", "accept")
    problem(live.handler("finance").post("handling", f"/cases/{complaint}/resolve", RESOLVE), 409, "customer-not-contacted")
    assert ok(live.handler("finance").get("handling", f"/cases/{complaint}"))["answer"]["words"] == UNHAPPY["words"]
    live.work(complaint, "finance", cycle=2)
    live.visit(complaint, cycle=2, **SATISFIED)
    seen = live.reaches(complaint, "closed", cycle=2)
    assert [each["stage"] for each in seen["stages"] if each.get("cycle") == 2] == [
        "reopened", "routed", "in-handling", "contacted", "resolved", "being-visited", "closed",
    ]  # fmt: skip
    record = closed_record(live, complaint)
    assert (record["cycles"], record["attempts"], record["satisfaction"], record["solved"]) == (2, 2, 5, True)
    assert (record["first_satisfaction"], record["first_solved"], record["first_department"]) == (1, False, "finance")
    first, last = record["per_cycle"]
    assert [(each["cycle"], each["department"], each["outcome"], each["attempts"]) for each in (first, last)] == [
        (1, "finance", "resolved", 1), (2, "finance", "resolved", 1),
    ]  # fmt: skip
    assert [(each["solved"], each["satisfaction"]) for each in (first, last)] == [(False, 1), (True, 5)]
    for each in (first, last):
        assert each["started_at"] <= each["accepted_at"] <= each["contacted_at"] <= each["resolved_at"] <= each["ended_at"]
    assert (first["started_at"], first["ended_at"], last["ended_at"]) == (record["received_at"], last["started_at"], record["closed_at"])
    assert {(each["clock"], each["cycle"]) for each in record["clocks"] if "met_at" in each} == {
        ("classify", 1),
        ("resolve", 1),
        ("resolve", 2),
    }


def test_a_rejected_complaint_is_visited_all_the_same(live: Live):
    complaint = live.register(CHARGED)
    live.work(complaint, "finance", end="reject")
    live.reaches(complaint, "being-visited", owner="return-visit agents")
    live.visit(complaint, **SATISFIED)
    live.reaches(complaint, "closed")
    record = closed_record(live, complaint)
    assert (record["outcome"], record["reason"]) == ("rejected", "satisfied")


@pytest.mark.parametrize("accepted", [False, True])
def test_a_wish_to_withdraw_is_answered_whether_or_not_a_department_works_on_it(live: Live, accepted: bool):
    complaint = live.register(SLOW)
    if accepted:
        live.case(complaint, "technical_support")
        live.step(complaint, "technical_support", "accept")
    wished = ok(live.front_end.post("intake", f"/complaints/{complaint}/withdrawal", {"reason": "It works again."}))
    assert wished["stage"] == "withdrawal-pending"
    assert live.reaches(complaint, "closed")["closed_as"] == "withdrawn"
    problem(live.front_end.post("intake", f"/complaints/{complaint}/chases", {}), 409, "complaint-closed")
    record = closed_record(live, complaint)
    assert record["reason"] == "withdrawn"
    assert "satisfaction" not in record
    live.idle()
    assert not any(each["complaint"] == complaint for each in live.supervisor.all("handling", "/cases"))
    assert not any(each["complaint"] == complaint for each in live.agent.all("callback", "/visits"))
    refused = live.supervisor.post("handling", f"/cases/{complaint}/accept")
    problem(refused, 409, "complaint-closed")
    clocks = ok(live.agent.get("sla-monitor", f"/complaints/{complaint}/clocks"))["clocks"]
    assert all(each["state"] in ("met", "cancelled") for each in clocks), clocks


def test_a_customer_who_was_not_reached_is_called_again(live: Live):
    complaint = live.register(SLOW)
    live.work(complaint, "technical_support")
    missed = live.visit(complaint, **MISSED)
    assert (missed["stage"], missed["attempts"]) == ("due", 1)
    live.reaches(complaint, "being-visited", owner="return-visit agents")
    assert live.visit(complaint, **SATISFIED)["attempts"] == 2
    live.reaches(complaint, "closed")
    assert closed_record(live, complaint)["attempts"] == 2


def test_what_the_rules_are_not_sure_of_is_decided_by_a_person_and_moves_to_the_other_department(live: Live):
    complaint = live.register(UNCLEAR)
    live.case(complaint, "customer_service")  # every complaint lies somewhere meanwhile
    live.reaches(complaint, "routed", owner="department:customer_service")

    def waiting() -> dict[str, Any] | None:
        return next((each for each in live.supervisor.all("triage", "/reviews") if each["id"] == complaint), None)

    assert eventually(waiting, f"{complaint} waits for a person")["excerpt"] == UNCLEAR
    decided = {"category": "service_quality", "sub_category": "slow_internet", "severity": "serious", "reason": "Read and decided."}
    ok(live.supervisor.post("triage", f"/complaints/{complaint}/reclassification", decided))
    assert waiting() is None

    live.case(complaint, "technical_support")
    problem(live.handler("customer_service").get("handling", f"/cases/{complaint}"), 404, "not-found")
    problem(live.handler("customer_service").post("handling", f"/cases/{complaint}/accept"), 404, "not-found")
    assert not any(each["complaint"] == complaint for each in live.handler("customer_service").all("handling", "/cases"))
    live.reaches(complaint, "routed", owner="department:technical_support")
    assert live.view(complaint)["internal"]["severity"] == "serious"
    live.work(complaint, "technical_support")
    live.visit(complaint, **SATISFIED)
    live.reaches(complaint, "closed")
    record = closed_record(live, complaint)
    assert (record["category"], record["sub_category"], record["department"]) == ("service_quality", "slow_internet", "technical_support")


def test_a_department_transfers_what_is_not_its_own(live: Live):
    complaint = live.register(CHARGED)
    live.case(complaint, "finance")
    live.step(complaint, "finance", "transfer", {"department": "market_legal", "reason": "The tariff is in question."})
    problem(live.handler("finance").get("handling", f"/cases/{complaint}"), 404, "not-found")
    assert live.case(complaint, "market_legal")["stage"] == "open"
    assert ok(live.handler("market_legal").get("handling", f"/cases/{complaint}"))["transferred_because"] == "The tariff is in question."
    eventually(lambda: live.view(complaint)["department"] == "market_legal", "the front door knows the new department")
    live.reaches(complaint, "routed", owner="department:market_legal")
    ok(live.handler("market_legal").get("intake", f"/complaints/{complaint}"))
    problem(live.handler("finance").get("intake", f"/complaints/{complaint}"), 404, "not-found")
    live.work(complaint, "market_legal")
    live.visit(complaint, **SATISFIED)
    live.reaches(complaint, "closed")
    assert closed_record(live, complaint)["department"] == "market_legal"


def test_a_case_is_not_there_for_another_department(live: Live):
    complaint = live.register(SLOW)
    live.case(complaint, "technical_support")
    stranger = live.handler("finance")
    for path in (f"/cases/{complaint}", f"/cases/{complaint}/accept", f"/cases/{complaint}/resolve"):
        body = RESOLVE if path.endswith("resolve") else {}
        answer = stranger.get("handling", path) if path.endswith(complaint) else stranger.post("handling", path, body)
        problem(answer, 404, "not-found")
    problem(stranger.get("triage", f"/complaints/{complaint}/classification"), 404, "not-found")
    assert not stranger.all("handling", "/cases", department="technical_support")


def test_the_handler_reads_what_the_customer_said_later(live: Live):
    complaint = live.register(SLOW, customer="王晓梅", phone="13800000001")
    live.case(complaint, "technical_support")
    ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "今天晚上又断了两次。", "attachments": ["photo-1"]}))
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {"text": "Is anybody there?"}))

    def told() -> dict[str, Any] | None:
        case = ok(live.handler("technical_support").get("handling", f"/cases/{complaint}"))
        return case if case["supplements"] and case["chases"] else None

    case = eventually(told, "handling has learned of both")
    assert (case["text"], case["customer"], case["phone"]) == (SLOW, "王晓梅", "13800000001")
    assert [(each["words"], each["attachment_names"]) for each in case["supplements"]] == [("今天晚上又断了两次。", ["photo-1"])]
    assert [each["words"] for each in case["chases"]] == ["Is anybody there?"]


def visited(live: Live, complaint: str) -> dict[str, Any] | None:
    """Its line in the agents' list."""
    return next((each for each in live.agent.all("callback", "/visits") if each["complaint"] == complaint), None)


def spoken(live: Live, complaint: str, times: int) -> dict[str, Any]:
    """Its line, once agents are told that the customer came back so often since the resolution."""

    def told() -> dict[str, Any] | None:
        line = visited(live, complaint)
        return line if line and line["said_since"] == times else None

    return eventually(told, f"agents see that the customer of {complaint} came back {times} times")


def test_words_after_the_resolution_reach_whose_step_is_next_and_stop_the_giving_up(live: Live):
    new = ok(live.front_end.post("intake", "/complaints", {"channel": "web", "text": SLOW}), 201)
    complaint = new["id"]
    live.case(complaint, "technical_support")
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {}))
    handler = live.handler("technical_support")
    eventually(lambda: ok(handler.get("handling", f"/cases/{complaint}"))["counts"]["chases"], "the department knows of the chase")
    live.work(complaint, "technical_support")
    assert eventually(lambda: visited(live, complaint), "a visit is due")["said_since"] == 0, "the department knew it"

    ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "还是断网。", "attachments": ["photo-1"]}))
    ok(live.front_end.post("intake", f"/complaints/{complaint}/chases", {"text": "Is anybody there?"}))
    line = spoken(live, complaint, 2)
    assert line["visit_at"] <= line["said_at"], "at once"
    listed = live.agent.all("callback", "/visits")
    before = listed[: [each["complaint"] for each in listed].index(complaint)]
    assert all(each["said_since"] for each in before), "only who spoke too stands before"
    visit = ok(live.agent.get("callback", f"/visits/{complaint}"))
    assert [(each["what"], each["words"]) for each in visit["said"]] == [("supplement", "还是断网。"), ("chase", "Is anybody there?")]
    counts = ok(handler.get("handling", f"/cases/{complaint}"))["counts"]
    assert (counts["said_since"], counts["said_at"]) == (2, line["said_at"])

    missed = [live.visit(complaint, **MISSED)["stage"] for _ in range(3)]
    assert missed == ["due", "due", "unreached"]
    live.reaches(complaint, "being-visited")
    eventually(lambda: live.owed()[complaint]["owner"] == "callback", "nobody has to call any more")
    assert visited(live, complaint) is None
    ok(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "请回电。"}))
    assert spoken(live, complaint, 3)["stage"] == "due"
    live.reaches(complaint, "being-visited", owner="return-visit agents")
    assert ok(live.agent.get("callback", f"/visits/{complaint}"))["said"][-1]["words"] == "请回电。"
    assert live.visit(complaint, **MISSED)["stage"] == "due", "it is tried anew"
    assert live.visit(complaint, **UNHAPPY)["cycle"] == 2
    case = live.case(complaint, "technical_support", cycle=2)
    assert (case["counts"]["said_since"], case["counts"]["said_at"] is None) == (3, False), "the department begins with what was said since"
    live.work(complaint, "technical_support", cycle=2)
    live.visit(complaint, cycle=2, **SATISFIED)
    live.reaches(complaint, "closed", cycle=2)

    refused = problem(live.front_end.post("intake", f"/complaints/{complaint}/supplements", {"text": "Again."}), 409, "complaint-closed")
    assert f'"refers_to": "{new["number"]}"' in refused["detail"]
    again = live.register(SLOW, refers_to=new["number"])
    link = {"complaint": complaint, "number": new["number"]}
    assert live.view(again)["refers_to"] == {"id": complaint, "number": new["number"], "status": new["status"]}
    live.case(again, "technical_support")
    assert ok(handler.get("handling", f"/cases/{again}"))["refers_to"] == link
    live.work(again, "technical_support")
    eventually(lambda: visited(live, again), "a visit of the new one is due")
    assert ok(live.agent.get("callback", f"/visits/{again}"))["refers_to"] == link


def test_a_front_end_sees_the_way_of_its_complaints_and_not_what_lies_behind(live: Live):
    new = ok(live.front_end.post("intake", "/complaints", {"channel": "web", "text": SLOW, "phone": "13800000001"}), 201)
    live.reaches(new["id"], "routed")
    spoken = new["number"].lower().replace("-", "－") + "。\u200b"
    seen = ok(live.front_end.get("intake", f"/complaints/by-number/{spoken}"))
    assert (seen["id"], seen["stage"], seen["text"]) == (new["id"], "routed", SLOW)
    assert [each["stage"] for each in seen["stages"]] == ["registered", "classified", "routed"]
    assert "internal" not in seen
    assert "13800000001" not in str(seen)
    another = live.api("front-end", subject="another-shop")
    problem(another.get("intake", f"/complaints/by-number/{spoken}"), 404, "not-found")
    problem(another.post("intake", f"/complaints/{new['id']}/chases", {}), 404, "not-found")


def test_after_all_of_it_nothing_is_lost_or_doubled_and_every_open_complaint_has_an_owner(live: Live):
    live.verified()
    subjects = {each.subject.partition("/")[2] for each in live.log() if each.subject.startswith("complaint/")}
    owed = live.owed()
    open_ones = {complaint for complaint in subjects if live.view(complaint)["stage"] != "closed"}
    assert set(owed) == open_ones
    assert all(each["owner"] and each["step"] and each["since"] for each in owed.values())
