"""A tracer that keeps what it is told, in the place of a collector."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from redress_spine.tracing import Attributes, SpanKind

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BEGINNING = f"00-{TRACE}-00f067aa0ba902b7-01"


@dataclass
class Told:
    """A span. traceparent: its own. ended: None while it is under way, else how it failed, or nothing."""

    name: str
    kind: SpanKind
    parent: str | None
    traceparent: str
    attributes: dict[str, object]
    link: str | None = None
    ended: str | None = None

    def end(self, attributes: Attributes | None = None, *, name: str | None = None, error: str | None = None) -> None:
        assert self.ended is None, "it has ended before"
        self.name, self.ended = name or self.name, error or ""
        self.attributes |= attributes or {}


@dataclass
class Notebook:
    """Every span that was told, in order; those of a trace with its id in their traceparents."""

    spans: list[Told] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def begin(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes, began: int | None = None) -> Told:
        trace = parent.split("-")[1] if parent else "0" * 31 + "1"
        span = Told(name, kind, parent, f"00-{trace}-{next(self._ids):016x}-01", dict(attributes))
        self.spans.append(span)
        return span

    def record(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes, began: int, link: str | None = None) -> None:
        span = self.begin(name, kind, parent, attributes, began)
        span.link = link
        span.end()

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]
