"""Who is shown what of a complaint."""

from dataclasses import replace
from typing import Any

import pytest

from redress_chassis import Caller
from redress_events.contracts import INTAKE
from redress_events.contracts.callback import CallbackScheduled, ComplaintClosed
from redress_events.contracts.handling import CaseAccepted
from redress_events.contracts.intake import (
    ComplaintChased,
    ComplaintForgotten,
    ComplaintRegistered,
    ComplaintSupplemented,
    ComplaintWithdrawn,
    EarlierComplaint,
)
from redress_events.contracts.triage import ComplaintClassified, ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.aggregate import AGGREGATE
from redress_intake.domain.history import SAID, STAGES
from redress_intake.permissions import PERMISSIONS
from redress_intake.policies import in_force
from redress_intake.views import ComplaintView, ForgottenView, RegisteredView, SaidAnswer, references, references_said
from redress_spine.store.entries import Latest
from redress_spine.store.states import Loaded
from redress_spine.testing import COMPLAINT, NOON, folded, listed

REGISTERED = ComplaintRegistered(
    number="0000-0000-000",
    channel="web",
    kind="complaint",
    received_at=NOON,
    text="intake/1/text",
    phone="intake/1/phone",
    instruction="intake/1/instruction",
)
LOOK = PERMISSIONS["GET /complaints/{complaint}"]
SUPPLEMENTED = ComplaintSupplemented(supplement=1, text="intake/2/text")
UNDER_WAY = (
    REGISTERED,
    SUPPLEMENTED,
    ComplaintClassified(
        classification=1,
        category="service_quality",
        sub_category="speed",
        kind="fault-report",
        severity="serious",
        taxonomy="telecom@1",
        confidence=0.9,
    ),
    ComplaintRouted(routing=1, department="technical-support", queue="network"),
    CaseAccepted(cycle=1, handler="wang", routing=1),
    CallbackScheduled(cycle=1, outcome="resolved", due_at=NOON),
)
WORDS = {"intake/1/text": "No signal", "intake/1/phone": "139", "intake/1/instruction": "Hurry", "intake/2/text": "Still none"}


def loaded(*events: Event) -> Loaded:
    return Loaded(COMPLAINT, folded(INTAKE, AGGREGATE, events), "etag", False, 1)


def shown(role: str, *events: Event) -> dict[str, Any]:
    found, history, parts = loaded(*events), listed(INTAKE, AGGREGATE, events), PERMISSIONS.shown({role})
    wanted = references(found.state, parts) + references_said(history[SAID].entries, parts)
    return ComplaintView.of(found, parts, history, {reference: WORDS[reference] for reference in wanted}).model_dump(
        mode="json", exclude_none=True
    )


def test_a_complaint_shows_which_one_it_refers_to():
    earlier = {"complaint": "01890000-0000-7000-8000-0000000000ee", "number": "1111-1111-111"}
    again = REGISTERED.model_copy(update={"refers_to": EarlierComplaint(**earlier)})
    link = {"id": earlier["complaint"], "number": earlier["number"], "status": f"/complaints/{earlier['complaint']}"}
    assert shown("front-end", again)["refers_to"] == link
    answer = RegisteredView.of(loaded(again), in_force().first_answer, "en", phone="13800000000").model_dump(mode="json")
    assert answer["refers_to"] == link
    assert "refers_to" not in shown("front-end", REGISTERED)


def test_a_front_end_sees_what_the_customer_may_see():
    view = shown("front-end", *UNDER_WAY)
    assert (view["stage"], view["kind"], view["category"], view["department"]) == (
        "being-visited",
        "fault-report",
        "service_quality",
        "technical-support",
    )
    assert (view["text"], view["said"][0]["text"]) == ("No signal", "Still none")
    assert view["visit"] == {"due_at": "2026-03-02T12:00:00Z", "attempts": 0}
    for internal in ("wang", "Hurry", "139", "serious", "speed"):
        assert internal not in str(view)


@pytest.mark.parametrize("role", ["agent", "supervisor"])
def test_the_operators_people_see_what_lies_behind(role: str):
    internal = shown(role, *UNDER_WAY)["internal"]
    assert internal == {
        "parked": False,
        "sub_category": "speed",
        "severity": "serious",
        "handler": "wang",
        "phone": "139",
        "instruction": "Hurry",
    }


@pytest.mark.parametrize("role", ["ops", "handler"])
def test_others_see_no_words(role: str):
    view = shown(role, *UNDER_WAY)
    assert not [word for word in WORDS.values() if word in str(view)]
    assert view["internal"]["handler"] == "wang"


def test_a_new_complaint_is_shown_as_far_as_it_is_known():
    view = shown("agent", REGISTERED)
    assert view["stages"] == [{"stage": "registered", "at": "2026-03-02T12:00:00Z", "cycle": 1}]
    assert view["internal"] == {"parked": False, "phone": "139", "instruction": "Hurry"}
    assert "closed_as" not in view
    assert shown("agent", REGISTERED, ComplaintClosed(cycle=1, reason="withdrawn"))["closed_as"] == "withdrawn"


def test_words_that_were_forgotten_are_left_out():
    told = (REGISTERED, SUPPLEMENTED)
    view = ComplaintView.of(loaded(*told), PERMISSIONS.shown({"agent"}), listed(INTAKE, AGGREGATE, told), {})
    assert (view.text, view.said[0].text, view.forgotten_at) == (None, None, None)
    forgotten = ComplaintForgotten(asked_by="customer", reason="By a letter.", proof="proof")
    assert ForgottenView.of(loaded(*told, ComplaintClosed(cycle=1, reason="withdrawn"), forgotten)).forgotten_at is not None


def test_what_was_left_out_is_not_made_up_and_an_instant_is_told_in_its_order():
    history = listed(INTAKE, AGGREGATE, UNDER_WAY)
    everything = ["registered", "classified", "routed", "in-handling", "being-visited"]
    assert [stage["stage"] for stage in shown("ops", *UNDER_WAY)["stages"]] == everything
    cut = {SAID: history[SAID], STAGES: Latest(history[STAGES].entries, more=True)}
    assert [stage.stage for stage in ComplaintView.of(loaded(*UNDER_WAY), PERMISSIONS.shown({"ops"}), cut, {}).stages] == everything[1:]


def test_the_answer_to_a_command_has_what_was_taken_down_but_neither_words_nor_history():
    events = (*UNDER_WAY, ComplaintChased(chase=1), ComplaintChased(chase=2))
    made = replace(loaded(*events), made=(SUPPLEMENTED, NOON))
    answer = SaidAnswer.of(made).model_dump(mode="json", exclude_none=True)
    assert answer["said"] == {"what": "supplement", "n": 1, "at": "2026-03-02T12:00:00Z", "attachments": []}
    assert (answer["counts"]["supplements"], answer["counts"]["chases"], answer["counts"]["chased_at"]) == (1, 2, "2026-03-02T12:00:00Z")
    assert not {"stages", "text", "internal"} & answer.keys()
    for what, event in (("chase", ComplaintChased(chase=2)), ("withdrawal", ComplaintWithdrawn(withdrawal=1))):
        said = SaidAnswer.of(replace(made, made=(event, NOON))).said
        assert said is not None and said.what == what
    assert SaidAnswer.of(loaded(*events)).said is None


def test_the_first_answer_says_number_place_and_what_comes_next():
    answer = RegisteredView.of(loaded(REGISTERED), in_force().first_answer, "zh", phone=None).model_dump(mode="json")
    assert answer["status"] == f"/complaints/{answer['id']}"
    assert (answer["number"], answer["registered_at"], answer["next"]["working_days"]) == ("0000-0000-000", "2026-03-02T12:00:00Z", 1)
    assert "1个工作日" in answer["next"]["sentence"]


@pytest.mark.parametrize(
    ("role", "department", "may"),
    [
        ("agent", None, True),
        ("front-end", None, False),
        ("ops", None, True),
        ("handler", "technical-support", True),
        ("handler", "finance", False),
        ("handler", None, False),
    ],
)
def test_a_handler_sees_what_lies_with_his_department(role: str, department: str | None, may: bool):
    caller = Caller(sub="x", roles=frozenset({role}), department=department)
    assert bool(LOOK.on(caller, loaded(*UNDER_WAY).state)) is may


@pytest.mark.parametrize(("client", "may"), [("x", True), ("y", False), (None, False)])
def test_a_front_end_sees_what_it_registered_itself(client: str | None, may: bool):
    state = loaded(REGISTERED.model_copy(update={"client": client})).state
    assert bool(LOOK.on(Caller(sub="x", roles=frozenset({"front-end"})), state)) is may


def test_before_its_registration_nobody_sees_a_complaint_and_before_its_routing_no_handler():
    agent, handler = (Caller(sub="x", roles=frozenset({role})) for role in ("agent", "handler"))
    assert not LOOK.on(agent, loaded(*UNDER_WAY[2:]).state)
    assert not LOOK.on(handler, loaded(REGISTERED).state)


@pytest.mark.parametrize(
    ("phone", "language", "begins"),
    [
        ("1380000000", "en", "This phone number cannot be called"),
        ("暂无", "zh", "该电话号码无法拨打"),
        ("13800000000", "zh", None),
        (None, "en", None),
    ],
)
def test_a_phone_that_nobody_can_call_is_a_warning_at_the_desk(phone, language, begins):
    warnings = RegisteredView.of(loaded(REGISTERED), in_force().first_answer, language, phone=phone).model_dump(mode="json")["warnings"]
    assert [(each["code"], each["pointer"], each["detail"].startswith(begins)) for each in warnings] == (
        [("phone-not-callable", "/phone", True)] if begins else []
    )
