"""A front end's subscription: which stages of its own complaints it is told of, and whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from redress_events.contracts.intake import WebhookDisabled, WebhookEnabled, WebhookSubscribed, WebhookUnsubscribed
from redress_events.event import EPOCH, Event, Instant, micros, replace
from redress_spine.aggregate import Projection, Table

# The stages that become known after the registration. (A wish to withdraw is the customer's own; its answer is a stage.)
ToldStage = Literal[
    "classified",
    "routed",
    "in-handling",
    "contacted",
    "progress-reported",
    "resolved",
    "rejected",
    "being-visited",
    "reopened",
    "closed",
]
TOLD_STAGES: tuple[ToldStage, ...] = get_args(ToldStage)
SUBSCRIPTIONS = Table("subscriptions", {"subscriber": "text", "subscribed_at": "bigint"})
SubscriptionEnd = Literal["unsubscribed", "gone", "failing"]


@dataclass(frozen=True, slots=True)
class Observed:
    """Other services say nothing of it."""


@dataclass(frozen=True, slots=True)
class Own:
    """Until it is subscribed, subscriber is empty. address, secret: references. told_since: stages that were reached
    before are not told. ended: why nothing more is told."""

    subscriber: str = ""
    stages: tuple[str, ...] = ()
    address: str = ""
    secret: str = ""
    subscribed_at: Instant = EPOCH
    told_since: Instant = EPOCH
    ended: SubscriptionEnd | None = None
    ended_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    observed: Observed = Observed()
    own: Own = Own()

    @property
    def active(self) -> bool:
        return bool(self.own.subscriber) and self.own.ended is None

    @property
    def kept(self) -> bool:
        """Whether its front end still has it, if only to see why it was disabled."""
        return bool(self.own.subscriber) and self.own.ended != "unsubscribed"


def observe(observed: Observed, event: Event, at: datetime) -> Observed:
    return observed


def evolve(own: Own, event: Event, at: datetime) -> Own:
    match event:
        case WebhookSubscribed():
            return Own(event.client, event.stages, event.address, event.secret, subscribed_at=at, told_since=at)
        case WebhookUnsubscribed():
            return replace(own, ended="unsubscribed", ended_at=at)
        case WebhookDisabled():
            return replace(own, ended=event.reason, ended_at=at)
        case WebhookEnabled():
            return replace(own, told_since=at, ended=None, ended_at=None)
    return own


def row(subscription: Subscription) -> list[tuple[Any, ...]]:
    return [(subscription.own.subscriber, micros(subscription.own.subscribed_at))] if subscription.kept else []


PROJECTIONS = (Projection(SUBSCRIPTIONS, row, own=("subscriber", "subscribed_at", "ended")),)
