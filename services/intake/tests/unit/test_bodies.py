"""Bad input, as far as the body alone shows it: told where it is, and never taken."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from redress_chassis import Problem
from redress_chassis.api.strict_json import strict_json
from redress_events.contracts.intake import ComplaintRegistered
from redress_intake.bodies import ChaseBody, ForgetBody, RegisterBody, SupplementBody, WithdrawBody

GOOD: dict[str, Any] = {"channel": "web", "kind": "complaint", "text": "手机没有信号"}
PERSONAL = ("customer", "on_behalf_of", "contact_person", "phone", "address", "service_number")


def refused(body: type[BaseModel], text: str) -> set[str]:
    """The fields that are at fault, in JSON as it comes over the wire: past the door, then past the model."""
    try:
        body.model_validate(strict_json(text.encode()))
    except Problem as problem:
        return {flaw.pointer.split("/")[1] for flaw in problem.errors}
    except ValidationError as refusal:
        return {str(error["loc"][0]) if error["loc"] else "" for error in refusal.errors()}
    return set()


def test_every_field_of_the_event_can_be_given_but_its_number_and_its_client():
    sealed = {"product_said", "area_said", "attachment_names"}  # made of what was said
    assert set(RegisterBody.model_fields) == set(ComplaintRegistered.model_fields) - {"number", "client"} - sealed
    given = GOOD | {"text": "  a\n", "attachments": ["s3:bucket/photo_1.jpg"], "metadata": {"b": " 7 ", "a": "中"}}
    body = RegisterBody.model_validate(given)
    assert (body.command(None).text, body.command(None).metadata) == ("a", '{"a":"中","b":"7"}')
    assert body.attachments == ("s3:bucket/photo_1.jpg",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channel", "pigeon"),
        ("channel", "WEB"),
        ("channel", None),
        ("channel", 1),
        ("channel", ["web"]),
        ("kind", "praise"),
        ("text", ""),
        ("text", " \n\t\u3000"),
        ("text", "x" * 20_001),
        ("text", "a\0b"),
        ("text", "a\ud800b"),
        ("text", None),
        ("text", 5),
        ("text", ["a"]),
        ("text", {"a": "b"}),
        ("text", True),
        ("received_at", "yesterday"),
        ("received_at", "2026-03-02"),
        ("received_at", "2026-03-02T12:00:00"),
        ("received_at", "2026-02-30T12:00:00Z"),
        ("received_at", "1999-12-31T23:59:59Z"),
        ("received_at", "9999-12-31T23:59:59-14:00"),
        ("received_at", "0001-01-01T00:00:00+14:00"),
        ("received_at", 1_770_000_000),
        ("received_at", "1770000000"),
        ("received_at", 10**30),
        ("received_at", 1e308),
        ("received_at", True),
        ("since", "1999-12-31T23:59:59Z"),
        ("since", 0),
        ("since", "2026-03-02T24:00:00Z"),
        ("phone", 13900000000),
        ("phone", "x" * 201),
        ("phone", ""),
        ("email", "nobody"),
        ("email", "a@b@c"),
        ("email", "a\0@b"),
        ("product", "x" * 201),
        ("product", "\u3164"),
        ("customer", "\u202eAda"),
        ("text", "a\x1b[2Jb"),
        ("text", "\u200b"),
        ("email", "a\x1b@b"),
        ("email", "a@b\u202e"),
        ("area", "north\nsouth"),
        ("attachments", "photo"),
        ("attachments", ["photo"] * 21),
        ("attachments", ["a\nb"]),
        ("attachments", ["x" * 201]),
        ("attachments", [""]),
        ("attachments", [1]),
        ("attachments", None),
        ("refers_to", ""),
        ("refers_to", "yesterday's"),
        ("refers_to", "0000-0000-001"),
        ("refers_to", "01890000-0000-7000-8000-00000000000"),
        ("refers_to", 5),
        ("refers_to", "0" * 46),
        ("external_id", ""),
        ("external_id", "x" * 101),
        ("external_id", "CRM 1"),
        ("external_id", "CRM\u200b1"),
        ("metadata", {str(n): "" for n in range(21)}),
        ("external_id", "CRM\u31641\u202e"),
        ("external_id", "\u3164"),
        ("metadata", {"a": "x" * 501}),
        ("metadata", {"a": ""}),
        ("metadata", {"a": "\u200b"}),
        ("metadata", {"a": "b\x1b[2J"}),
        ("metadata", {"a": "b\nc"}),
        ("metadata", {"Desk": "7"}),
        ("metadata", {"desk": 7}),
        ("metadata", {"desk": {"n": "7"}}),
        ("number", "0000-0000-000"),
        ("registered_at", "2026-03-02T12:00:00Z"),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, value: object):
    assert refused(RegisterBody, json.dumps(GOOD | {field: value})) == {field}


@pytest.mark.parametrize("field", PERSONAL)
def test_no_personal_field_takes_nul(field: str):
    assert refused(RegisterBody, json.dumps(GOOD | {field: "a\0b"})) == {field}


@pytest.mark.parametrize("missing", ["channel", "text"])
def test_a_field_that_is_missing_is_named(missing: str):
    assert refused(RegisterBody, json.dumps({name: value for name, value in GOOD.items() if name != missing})) == {missing}


@pytest.mark.parametrize("body", [RegisterBody, SupplementBody, ChaseBody, WithdrawBody])
@pytest.mark.parametrize("text", ["[]", "null", '"text"', "1", '{"text": "\\ud800"}', '{"unknown": 1, "channel": "web", "text": "a"}'])
def test_what_is_no_such_object_is_no_body(body: type[BaseModel], text: str):
    assert refused(body, text)


@pytest.mark.parametrize("length", [1, 20_000])
def test_a_text_has_up_to_twenty_thousand_characters(length: int):
    assert len(RegisterBody.model_validate(GOOD | {"text": "诉" * length}).text) == length
    assert refused(SupplementBody, json.dumps({"text": "诉" * 20_001})) == {"text"}


def test_dates_keep_their_zone_and_twenty_attachments_pass():
    body = RegisterBody.model_validate(
        GOOD | {"received_at": "2026-03-02T12:00:00+08:00", "since": "2000-01-01T00:00:00Z", "attachments": ["photo"] * 20}
    )
    assert body.received_at is not None
    assert body.received_at.isoformat() == "2026-03-02T12:00:00+08:00"
    assert len(body.attachments) == 20


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("oooo 0000 000", "0000-0000-000"),
        ("００００－００００－０００。", "0000-0000-000"),
        ("01890000-0000-7000-8000-0000000000EE", "01890000-0000-7000-8000-0000000000ee"),
    ],
)
def test_an_earlier_complaint_is_named_by_its_number_or_its_id(said: str, meant: str):
    assert RegisterBody.model_validate(GOOD | {"refers_to": said}).refers_to == meant


def test_chases_and_withdrawals_may_be_silent():
    assert (ChaseBody.model_validate({}).text, WithdrawBody.model_validate({}).reason) == (None, None)
    assert refused(WithdrawBody, '{"reason": ""}') == {"reason"}


@pytest.mark.parametrize("name", ["Guangdong, Shenzhen", "宽带【100M】", "Fibre 500, 24 months", "call me <b>now</b>", "照片 (1).jpg"])
def test_products_places_and_names_of_files_are_taken_as_people_write_them(name: str):
    body = RegisterBody.model_validate(GOOD | {"product": name, "area": name, "attachments": [name]})
    assert (body.product, body.area, body.attachments) == (name, name, (name,))


@pytest.mark.parametrize(
    "reason", ["", "Too short", "x" * 201, "Call 138 0000 0000 to make sure", "wang@example.org wrote to us", "It says\nmore than a line"]
)
def test_why_a_complaint_is_forgotten_is_said_and_says_nothing_of_the_customer(reason: str):
    assert refused(ForgetBody, json.dumps({"asked_by": "customer", "reason": reason})) == {"reason"}
    assert refused(ForgetBody, json.dumps({"asked_by": "neighbour", "reason": "By a letter of 2 March."})) == {"asked_by"}
    assert not refused(ForgetBody, json.dumps({"asked_by": "customer", "reason": "By a letter of 2 March, 票据 4711."}))
