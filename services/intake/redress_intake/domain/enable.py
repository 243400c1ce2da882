"""Enable: a front end whose receiver works again is notified again, of what is reached from now on."""

from dataclasses import dataclass

from redress_events.contracts.intake import WebhookEnabled
from redress_events.event import Event
from redress_intake.domain.subscription import Subscription
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Enable:
    pass


def enable(subscription: Subscription, command: Enable, context: Context) -> list[Event]:
    return [WebhookEnabled()] if subscription.kept and not subscription.active else []
