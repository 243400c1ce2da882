"""A complaint by its number, what was received, the open complaints and how many they are, and the subscriptions of a front end."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from redress_events.event import micros
from redress_intake.domain.lists import COMPLAINTS, OPEN
from redress_intake.domain.subscription import SUBSCRIPTIONS
from redress_spine.store.states import Grouping, Query

ALWAYS = 2**62  # microseconds to and from 1970
WHEN_AND_WHERE = "s.newest BETWEEN $1::bigint AND $2::bigint AND ($3::text IS NULL OR s.channel = $3::text)"

BY_NUMBER = Query(name="by-number", where="number = $1", order="registered_at", index="complaints_number", table=COMPLAINTS)
PENDING = Query(name="pending", where="open_since IS NOT NULL", order="open_since", index="complaints_open", table=COMPLAINTS)
# $4: whether they are closed; null: all.
RECEIVED = Query(
    name="received",
    where=f"{WHEN_AND_WHERE} AND ($4::boolean IS NULL OR (s.open_since IS NULL) = $4::boolean)",
    order="newest",
    index="complaints_newest",
    near="complaints_near",
    owner="client",
    mine="complaints_of_client",
    by_channel="complaints_by_channel",
    table=COMPLAINTS,
)
# $4: their stage; null: any. They are few, so one index serves all parts.
RECEIVED_OPEN = Query(
    name="received-open",
    where=f"{WHEN_AND_WHERE} AND ($4::text IS NULL OR s.stage = $4::text)",
    order="newest",
    index="open_complaints_newest",
    near="open_complaints_newest",
    owner="client",
    by_channel="open_complaints_newest",
    table=OPEN,
)
OWN = Query("subscriptions", where="true", order="subscribed_at", index="subscriptions_subscriber", owner="subscriber", table=SUBSCRIPTIONS)
OPEN_ONES = Grouping(OPEN, by=("department", "category", "stage"), since="received_at")
QUERIES = [BY_NUMBER, PENDING, RECEIVED, RECEIVED_OPEN, OWN]


def received(
    channel: str | None, state: str | None, received_from: datetime | None, received_to: datetime | None
) -> tuple[Query, tuple[Any, ...]]:
    """The list of complaints with this channel and state (`open`, or a stage) that were received from one time up to another, and its
    filters."""
    first = -ALWAYS if received_to is None else 1 - micros(received_to)
    last = ALWAYS if received_from is None else -micros(received_from)
    if state in (None, "closed"):
        return RECEIVED, (first, last, channel, None if state is None else True)
    return RECEIVED_OPEN, (first, last, channel, None if state == "open" else state)
