"""Who is told what of which complaint, in which order, and when nobody is told any more."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import httpcore
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from redress_chassis.edge.outbound import Forbidden, Outbound, OutboundResponse, Unresolved
from redress_events.contracts import INTAKE
from redress_events.contracts.intake import (
    ComplaintRegistered,
    WebhookDisabled,
    WebhookEnabled,
    WebhookSubscribed,
    WebhookUnsubscribed,
)
from redress_events.event import micros
from redress_intake.bodies import SubscriptionBody
from redress_intake.domain import aggregate, subscription
from redress_intake.domain.enable import Enable, enable
from redress_intake.domain.observed import StageName
from redress_intake.domain.subscribe import Subscribe, subscribe
from redress_intake.domain.subscription import SUBSCRIPTIONS, TOLD_STAGES
from redress_intake.domain.unsubscribe import Unsubscribe, unsubscribe
from redress_intake.main import app
from redress_intake.reactors import WebhookSender, message, reactor
from redress_intake.signatures import key_of, new_secret, signed
from redress_intake.telling import NEWS, TELLS, Known
from redress_intake.views import Message
from redress_spine.processing.reactor import Effect, EffectAttempt, Later, Never
from redress_spine.store.entries import Listed
from redress_spine.testing import COMPLAINT, NOON, Spec, StorySoFar, folded

SECOND = timedelta(seconds=1)
SUBSCRIPTION = "subscription/01890000-0000-7000-8000-00000000000a"
SUBSCRIBED = WebhookSubscribed(client="app", stages=("in-handling", "closed"), address="intake/1/address", secret="intake/1/secret")
REGISTERED = ComplaintRegistered(
    number="0000-0000-000", channel="web", kind="complaint", received_at=NOON, text="intake/1/text", client="app"
)
complaints = Spec(INTAKE, aggregate.AGGREGATE)
subscriptions = Spec(INTAKE, aggregate.SUBSCRIPTION, {Unsubscribe: unsubscribe, Enable: enable})
WEBHOOKS = reactor(Outbound())
ACCEPTED = Listed("handling", 2, NOON + SECOND, {"stage": "in-handling", "cycle": 1})
CLASSIFIED = Listed("triage", 1, NOON + 2 * SECOND, {"stage": "classified"})
CLOSED = Listed("callback", 3, NOON + 3 * SECOND, {"stage": "closed", "cycle": 1})


def given() -> StorySoFar:
    return complaints.given(REGISTERED).at(NOON + 5 * SECOND)


def subscribed(**changes: Any) -> subscription.Own:
    own: subscription.Own = folded(INTAKE, aggregate.SUBSCRIPTION, [SUBSCRIBED]).own
    return replace(own, **changes)


def told(entry: Listed, key: str) -> Effect:
    return Effect(
        key,
        SUBSCRIPTION,
        {
            "complaint": COMPLAINT.partition("/")[2],
            "number": "0000-0000-000",
            "stage": entry.data["stage"],
            "cycle": 1,
            "at": micros(entry.at),
        },
        lane=f"{SUBSCRIPTION} {COMPLAINT}",
        target=SUBSCRIPTION,
        opens=("intake/1/address", "intake/1/secret"),
    )


def test_a_subscription_is_its_front_ends_until_it_is_deleted():
    mine = [{"subscriber": "app", "subscribed_at": micros(NOON)}]
    for story, listed in (
        ([], []),
        ([SUBSCRIBED], mine),
        ([SUBSCRIBED, WebhookDisabled(reason="gone")], mine),
        ([SUBSCRIBED, WebhookUnsubscribed()], []),
    ):
        assert subscriptions.given(*story).shows(SUBSCRIPTIONS) == listed


def test_what_is_said_of_complaints_changes_no_subscription():
    state = subscriptions.given(SUBSCRIBED).state
    assert subscription.observe(state.observed, REGISTERED, NOON) == state.observed
    assert subscription.evolve(state.own, REGISTERED, NOON) == state.own


def test_each_stage_that_was_asked_for_is_told_in_the_order_of_time_under_an_id_that_stays_the_same():
    known = Known([CLOSED, CLASSIFIED, ACCEPTED], [(SUBSCRIPTION, subscribed())])
    effects = WEBHOOKS.wanted(given().state, known, given().context)
    assert [each.data["stage"] for each in effects] == ["in-handling", "closed"]
    expected = [told(entry, effect.key) for entry, effect in zip((ACCEPTED, CLOSED), effects, strict=True)]
    given().wants(WEBHOOKS, *expected, known=known)
    other = [(SUBSCRIPTION.replace("a", "b"), subscribed()), *known.subscriptions]
    again = WEBHOOKS.wanted(given().state, Known(known.stages, other), given().context)
    assert {each.key for each in effects} < {each.key for each in again} and len({each.key for each in again}) == 4


def test_what_was_before_the_subscription_or_is_no_news_or_concerns_nobody_is_not_told():
    at = [(SUBSCRIPTION, subscribed(told_since=NOON + 2 * SECOND))]
    (effect,) = WEBHOOKS.wanted(given().state, Known([ACCEPTED, CLOSED], at), given().context)
    assert effect.data["stage"] == "closed"
    given().wants(WEBHOOKS, known=Known([ACCEPTED]))
    given().at(ACCEPTED.at + NEWS).wants(WEBHOOKS, known=Known([ACCEPTED], [(SUBSCRIPTION, subscribed())]))
    subscriptions.given(SUBSCRIBED).wants(WEBHOOKS, known=Known([ACCEPTED], [(SUBSCRIPTION, subscribed())]))
    assert WEBHOOKS.keep > NEWS, "a rebuild would tell again what was told and is forgotten"


def test_the_stages_that_can_be_asked_for_are_those_that_become_known_after_the_registration():
    assert {*TOLD_STAGES, "registered", "withdrawal-pending"} == set(get_args(StageName))


def test_a_subscription_ends_by_its_owner_or_its_receiver_and_then_nothing_waits_any_more():
    effect = told(ACCEPTED, "msg")
    active = subscriptions.given(SUBSCRIBED)
    assert active.still_wants(WEBHOOKS, effect)
    active.when_given_up(WEBHOOKS, effect, "gone").then(WebhookDisabled(reason="gone"))
    disabled = active.when_given_up(WEBHOOKS, effect).then(WebhookDisabled(reason="failing")).after
    assert not disabled.still_wants(WEBHOOKS, effect)
    disabled.when_given_up(WEBHOOKS, effect).then_nothing()
    assert disabled.state.own.ended == "failing" and disabled.state.own.ended_at == NOON
    ended = disabled.when(Unsubscribe()).then(WebhookUnsubscribed()).after
    ended.when(Unsubscribe()).then_nothing()
    assert not subscriptions.given().still_wants(WEBHOOKS, effect)


def test_what_was_disabled_is_enabled_by_its_owner_and_tells_what_is_reached_from_then_on():
    active = subscriptions.given(SUBSCRIBED)
    active.when(Enable()).then_nothing()
    disabled = subscriptions.given(SUBSCRIBED, WebhookDisabled(reason="failing"))
    enabled = disabled.at(NOON + 2 * SECOND).when(Enable()).then(WebhookEnabled()).after
    assert enabled.state.active and enabled.state.own.ended_at is None and enabled.state.own.subscribed_at == NOON
    assert enabled.shows(SUBSCRIPTIONS) == active.shows(SUBSCRIPTIONS)
    known = Known([ACCEPTED, CLOSED], [(SUBSCRIPTION, enabled.state.own)])
    assert [each.data["stage"] for each in WEBHOOKS.wanted(given().state, known, given().context)] == ["closed"]
    subscriptions.given(SUBSCRIBED, WebhookUnsubscribed()).when(Enable()).then_nothing()
    subscriptions.given().when(Enable()).then_nothing()


def test_to_subscribe_is_written_down_as_it_was_asked():
    command = Subscribe("app", "https://example.com", ("closed",), "whsec_")
    assert subscribe(command, given().context) == [
        WebhookSubscribed(client="app", stages=("closed",), address="https://example.com", secret="whsec_")
    ]


def test_what_is_signed_is_verified_by_the_standards_own_library_and_nothing_else_is():
    secret, body = new_secret(), message(told(ACCEPTED, "msg_1"))
    now = int(time.time())
    headers = signed(secret, "msg_1", now, body)
    assert Webhook(secret).verify(body, headers)["type"] == "complaint.stage-reached"
    for changed in (headers | {"webhook-id": "msg_2"}, headers | {"webhook-timestamp": str(now + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_" + "A" * 28, "A" * 32, "whsec_" + "A" * 88])
def test_a_secret_of_another_form_or_length_is_refused(secret: str):
    with pytest.raises(ValueError, match="A secret is"):
        key_of(secret)
    assert len(key_of(new_secret())) == 24


def test_a_message_says_nothing_personal_and_is_the_same_each_time():
    said = json.loads(message(told(ACCEPTED, "msg_1")))
    assert said == {
        "type": "complaint.stage-reached",
        "timestamp": "2026-03-02T12:00:01Z",
        "data": {
            "id": COMPLAINT.partition("/")[2],
            "number": "0000-0000-000",
            "stage": "in-handling",
            "cycle": 1,
            "reached_at": "2026-03-02T12:00:01Z",
            "links": {"complaint": f"/complaints/{COMPLAINT[10:]}", "stages": f"/complaints/{COMPLAINT[10:]}/stages"},
        },
    }


class Receiver(Outbound):
    """Answers what it is told to."""

    def __init__(self, answer: OutboundResponse | Exception) -> None:
        self.answer = answer

    async def post(self, *_: Any) -> OutboundResponse:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def sent(answer: OutboundResponse | Exception, **words: str) -> Any:
    words = words or {"intake/1/address": "https://example.com", "intake/1/secret": new_secret()}
    return await WebhookSender(Receiver(answer))(told(ACCEPTED, "msg_1"), EffectAttempt(1, words))


async def test_two_hundred_and_something_is_delivered_gone_is_gone_and_anything_else_is_tried_again():
    assert await sent(OutboundResponse(204)) == {"status": 204}
    with pytest.raises(Never) as gone:
        await sent(OutboundResponse(410))
    assert gone.value.code == "gone"
    for status in (301, 302, 307, 400, 404, 429, 500, 503):
        with pytest.raises(Later, match=str(status)):
            await sent(OutboundResponse(status))
    with pytest.raises(Later) as asked:
        await sent(OutboundResponse(429, 30))
    assert asked.value.after == timedelta(seconds=30)
    failures = (Forbidden("x", "private"), Unresolved("x"), httpcore.ReadTimeout(), httpcore.ConnectError(), httpcore.RemoteProtocolError())
    for failure in failures:
        with pytest.raises(Later):
            await sent(failure)
    with pytest.raises(Never):
        await sent(OutboundResponse(200), other="words")


def test_what_is_posted_to_others_is_in_the_document_and_it_is_whole():
    document = app.openapi()
    posted = document["webhooks"][TELLS]["post"]
    assert posted["responses"].keys() == {"204", "410", "default"}
    assert {each["name"] for each in posted["parameters"]} == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    referred = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert referred <= document["components"]["schemas"].keys()
    said = json.loads(message(told(ACCEPTED, "msg_1")))
    assert Message.model_validate_json(json.dumps(said)).model_dump(mode="json") == said


def test_every_stage_is_asked_for_where_none_is_named_and_a_secret_is_the_standards():
    assert SubscriptionBody(address="https://example.com").stages == TOLD_STAGES
    with pytest.raises(ValidationError):
        SubscriptionBody(address="https://example.com", secret="whsec_short")
