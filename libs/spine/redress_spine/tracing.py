"""What the spine tells of its work as spans, where somebody collects them. It knows no SDK: where nobody does, there is no tracer at all.

An event's envelope has the traceparent of the span that decided it, forever. So whoever sends or folds the event, at whatever time, tells
a span of the same trace, and the trace of a command goes on through all services without a header of Kafka's own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson

if TYPE_CHECKING:
    from redress_spine.messaging.records import DecodedRecord, RejectedRecord
    from redress_spine.processing.effects import Leased
    from redress_spine.store.commit import Item
    from redress_spine.store.states import Row

SpanKind = Literal["server", "client", "internal", "producer", "consumer"]
Attributes = Mapping[str, str | int | Sequence[str]]


class Span(Protocol):
    """Work under way."""

    @property
    def traceparent(self) -> str:
        """For what this work causes."""

    def end(self, attributes: Attributes | None = None, *, name: str | None = None, error: str | None = None) -> None:
        """name: a better one than it began with. error: what kind of failure it was, never a message."""


class Tracer(Protocol):
    """Where spans go. parent, link: traceparents. began: nanoseconds since 1970, by `time.time_ns`; now, if not given. Nothing in an
    attribute is personal, as in a log."""

    def begin(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes, began: int | None = None) -> Span:
        """Work that causes more, whose parent it will be."""

    def record(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes, began: int, link: str | None = None) -> None:
        """Work that has just ended. link: what else it goes back to, where that is of another trace."""


now = time.time_ns


def in_log(traceparent: str | None) -> dict[str, str]:
    """The field by which a log line is found with its trace; none where there is no trace."""
    parts = (traceparent or "").split("-")
    return {"trace_id": parts[1]} if len(parts) == 4 else {}


def decided(tracer: Tracer, automation: str, row: Row, began: int) -> Span:
    """An automation's decision on a row, which ends once it is committed. It goes on from the last event that changed the row."""
    attributes = {"redress.automation": automation, "redress.subject": row.subject}
    return tracer.begin(f"automation {automation}", "internal", row.cause.get("traceparent"), attributes, began)


def committed(tracer: Tracer, item: Item, began: int) -> None:
    """A decision in the journal. A command's has a link to what had happened to its subject before: that may be of another trace."""
    if item.events:
        attributes: Attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": "commit_decisions",
            "redress.subject": item.row.subject,
            "redress.event.types": [kind for _, _, _, kind, *_ in item.events],
        }
        cause = item.row.cause.get("traceparent")
        other = cause if cause and cause.split("-")[1:2] != (item.traceparent or "").split("-")[1:2] else None
        tracer.record("commit", "client", item.traceparent, attributes, began, other)


def sent(tracer: Tracer, rows: Sequence[Any], began: int) -> None:
    """Events of the journal that Kafka has acknowledged."""
    for row in rows:
        attributes = _of_the_log("send", row["topic"], row["type"], row["stream"])
        tracer.record(f"send {row['topic']}", "producer", orjson.loads(row["data"]).get("traceparent"), attributes, began)


def folded(tracer: Tracer, items: Sequence[DecodedRecord | RejectedRecord], began: int) -> None:
    """Events of other services that were folded, or parked."""
    for item in items:
        if (envelope := getattr(item, "envelope", None)) is not None and getattr(item, "event", None) is not None:
            record = item.record
            attributes = {
                **_of_the_log("process", record.topic, envelope.type, envelope.subject),
                "messaging.destination.partition.id": str(record.partition),
                "messaging.kafka.offset": record.offset,
            }
            tracer.record(f"process {record.topic}", "consumer", envelope.traceparent, attributes, began)


def attempted(tracer: Tracer, reactor: str, leased: Leased) -> Span:
    """One attempt at an effect."""
    effect = leased.effect
    attributes: Attributes = {
        "redress.reactor": reactor,
        "redress.effect.key": effect.key,
        "redress.effect.attempt": leased.attempt,
        "redress.subject": effect.subject,
    }
    return tracer.begin(f"effect {reactor}", "client", leased.traceparent, attributes)


def _of_the_log(operation: str, topic: str, kind: str, subject: str) -> dict[str, str | int | Sequence[str]]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": topic,
        "redress.event.type": kind,
        "redress.subject": subject,
    }
