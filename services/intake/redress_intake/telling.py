"""Tell front ends what became of their complaints: which stage is told to whom, in which order, and when nobody is told any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid5

from redress_events.contracts.intake import WebhookDisabled
from redress_events.event import Event, micros
from redress_intake.domain.complaint import Complaint
from redress_intake.domain.subscription import Own, Subscription
from redress_spine.aggregate import Context
from redress_spine.processing.reactor import Effect
from redress_spine.store.entries import Listed

TELLS = "complaint.stage-reached"
# What intake gets to know later than this after it happened is told to nobody: by then it is no news. It must be less than the time for
# which deliveries are kept, or a rebuild would tell again what was told.
NEWS = timedelta(days=7)
MESSAGES = UUID("6b0e0d0a-6d1e-4a0b-9a52-6c8a3f1c7d55")  # the namespace of messages' ids


@dataclass(frozen=True, slots=True)
class Known:
    """Beside a complaint: its latest stages, and the subscriptions of who registered it, by subject. seen: the mark of its news."""

    stages: Sequence[Listed] = ()
    subscriptions: Sequence[tuple[str, Own]] = ()
    seen: int = 0


def message_id(subscription: str, complaint: str, entry: Listed) -> str:
    """The same for the same news, whoever sends it and however often."""
    return f"msg_{uuid5(MESSAGES, f'{subscription} {complaint} {entry.source} {entry.version}').hex}"


def tell(complaint: Complaint, known: Known, context: Context) -> list[Effect]:
    """A message for each stage that a subscription asks for and that was reached since it was made or enabled; a complaint's in order."""
    return [
        Effect(
            key=message_id(subscription, context.subject, entry),
            subject=subscription,
            data={
                "complaint": context.subject.partition("/")[2],
                "number": complaint.own.number,
                "stage": entry.data["stage"],
                "cycle": entry.data.get("cycle"),
                "at": micros(entry.at),
            },
            lane=f"{subscription} {context.subject}",
            target=subscription,
            opens=(own.address, own.secret),
        )
        for subscription, own in known.subscriptions
        for entry in sorted(known.stages, key=lambda each: each.place)
        if entry.data["stage"] in own.stages and own.told_since < entry.at and context.now - entry.at < NEWS
    ]


def still_told(subscription: Subscription, effect: Effect) -> bool:
    return subscription.active


def disable(subscription: Subscription, effect: Effect, code: str, context: Context) -> list[Event]:
    """The receiver is gone, or a message could not be delivered for a day: whoever reads nothing for so long has to be asked."""
    return [WebhookDisabled(reason="gone" if code == "gone" else "failing")] if subscription.active else []
