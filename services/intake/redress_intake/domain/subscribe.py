"""Subscribe: a front end names an address, and is told there what becomes of the complaints that it registered."""

from __future__ import annotations

from dataclasses import dataclass

from redress_events.contracts.intake import WebhookSubscribed
from redress_events.event import Event
from redress_spine.aggregate import Context


@dataclass(frozen=True, slots=True)
class Subscribe:
    """address: checked, as far as that can be done before it is called. secret: `whsec_` and base64."""

    client: str
    address: str
    stages: tuple[str, ...]
    secret: str


def subscribe(command: Subscribe, context: Context) -> list[Event]:
    return [WebhookSubscribed(client=command.client, stages=command.stages, address=command.address, secret=command.secret)]
