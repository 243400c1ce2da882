"""Unsubscribe: nothing more is told, not even what waits."""

from dataclasses import dataclass

from redress_events.contracts.intake import WebhookUnsubscribed
from redress_events.event import Event
from redress_intake.domain.subscription import Subscription
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    pass


def unsubscribe(subscription: Subscription, command: Unsubscribe, context: Context) -> list[Event]:
    return [] if subscription.own.ended == "unsubscribed" else [WebhookUnsubscribed()]
