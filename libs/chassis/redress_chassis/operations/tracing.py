"""Spans for OpenTelemetry, sent by OTLP over HTTP. Imported only where a collector is named: the SDK takes time at a start, and memory.

Spans are batched and sent by a thread of the SDK's own. Where the collector is away they are dropped, and nobody waits for it. What else
the SDK knows (headers and certificates for the collector, the queue's size) it reads from OpenTelemetry's own variables, `OTEL_…`.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace import Span as SdkSpan

from redress_chassis.edge.trace import PROPAGATOR
from redress_chassis.version import VERSION
from redress_spine import tracing
from redress_spine.tracing import Attributes

PATH = "/v1/traces"
LAST_WORDS = 3.0  # seconds that a service which ends waits for its last spans to be taken
KINDS: Mapping[tracing.SpanKind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class OtlpTracer:
    """Tells one service's spans to a collector. sample: which part of the traces that begin here; those that came from elsewhere are
    collected as their beginning says."""

    def __init__(self, endpoint: str, service: str, build: str, sample: float = 1.0) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample)),
            resource=Resource.create(
                {
                    "service.name": service,
                    "service.namespace": "redress",
                    "service.version": VERSION,
                    "service.instance.id": str(uuid.uuid4()),
                    "redress.build": build,
                }
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint + PATH)))
        self._tracer = self._provider.get_tracer("redress", VERSION)

    def begin(self, name: str, kind: tracing.SpanKind, parent: str | None, attributes: Attributes, began: int | None = None) -> OtlpSpan:
        return OtlpSpan(self._start(name, kind, parent, attributes, began))

    def record(
        self, name: str, kind: tracing.SpanKind, parent: str | None, attributes: Attributes, began: int, link: str | None = None
    ) -> None:
        self._start(name, kind, parent, attributes, began, link).end()

    def _start(
        self, name: str, kind: tracing.SpanKind, parent: str | None, attributes: Attributes, began: int | None, link: str | None = None
    ) -> SdkSpan:
        links = [Link(linked)] if link and (linked := get_current_span(_extracted(link)).get_span_context()).is_valid else []
        return self._tracer.start_span(name, _extracted(parent), KINDS[kind], dict(attributes), links, began)

    async def close(self) -> None:
        """Sends what there is. A collector that does not take it in time keeps nobody from ending."""
        ending = threading.Thread(target=self._provider.shutdown, name="tracer-ends", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, LAST_WORDS)


class OtlpSpan:
    """Work under way."""

    def __init__(self, span: SdkSpan) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"

    def end(self, attributes: Attributes | None = None, *, name: str | None = None, error: str | None = None) -> None:
        if name is not None:
            self._span.update_name(name)
        if attributes:
            self._span.set_attributes(dict(attributes))
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _extracted(traceparent: str | None) -> Context:
    """Empty where there is none, or it is malformed: then a trace begins."""
    return PROPAGATOR.extract({"traceparent": traceparent}, Context()) if traceparent else Context()
