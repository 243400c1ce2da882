"""Spans of requests: what is sent to a collector, what is not, and that nobody pays for it where none is named."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from otlp import Receiver, receiver

from redress_chassis.operations.tracing import OtlpTracer

GOOD = {"title": "a", "text": "b"}
SECRET = "secret words of a customer"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
NOT_LOOKED_AT = f"00-{TRACE}-{PARENT}-00"


@pytest.fixture
def traced(service, settings, jar, issuer):
    """The toy service with a collector, for the length of a block: at its end every span was sent."""

    @asynccontextmanager
    async def run(sample: float = 1.0, url: str = "") -> AsyncIterator[tuple[httpx.AsyncClient, Receiver]]:
        with receiver() as received:
            app = service.app(settings.model_copy(update={"otlp_endpoint": url or received.url, "otlp_sample": sample}), engine=jar)
            headers = {"authorization": f"Bearer {issuer.token('front-end', 'handler', department='network')}", "idempotency-key": "k"}
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar", headers=headers) as client,
            ):
                yield client, received

    return run


async def test_a_request_is_a_span_of_its_callers_trace_and_what_it_causes_hangs_below_it(traced, jar, capsys):
    async with traced() as (client, received):
        answer = await client.post("/notes", json=GOOD, headers={"traceparent": TRACEPARENT})
    (span,) = received.spans

    assert (span.name, span.kind, span.trace, span.parent, span.failed) == ("POST /notes", "server", TRACE, PARENT, False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/notes",
        "http.response.status_code": 201,
        "redress.subject": f"note/{answer.json()['id']}",
    }
    assert jar.metadata[0].traceparent == f"00-{TRACE}-{span.id}-01"
    assert f'"span_id":"{span.id}"' in capsys.readouterr().out
    (resource,) = received.resources
    assert resource.items() >= {"service.name": "jar", "service.namespace": "redress", "redress.build": "unknown"}.items()


@pytest.mark.parametrize(("text", "status", "code", "failed"), [("explode", 500, "internal", True), ("refuse", 409, "jar-full", False)])
async def test_a_span_says_what_failed_and_nothing_that_was_sent(traced, text, status, code, failed):
    async with traced() as (client, received):
        answer = await client.post("/notes", json={**GOOD, "title": SECRET, "text": text}, headers={"traceparent": "nonsense"})
        await client.get(f"/{SECRET}/13800138000")
    first, second = received.spans

    assert (answer.status_code, first.attributes["redress.code"], first.failed) == (status, code, failed)
    assert first.parent is None
    assert (second.name, second.attributes["http.response.status_code"]) == ("GET", 404)
    assert not any(word in body for body in received.raw for word in (SECRET.encode(), b"13800138000", b"alice"))


async def test_health_and_metrics_are_no_spans(traced):
    async with traced() as (client, received):
        for path in ("/health/live", "/health/ready", "/metrics"):
            await client.get(path)
    assert received.spans == []


async def test_what_the_caller_does_not_collect_is_not_collected_here_and_its_trace_goes_on(traced, jar):
    async with traced() as (client, received):
        await client.post("/notes", json=GOOD, headers={"traceparent": NOT_LOOKED_AT})
    assert received.spans == []
    assert jar.metadata[0].traceparent.startswith(f"00-{TRACE}-")
    assert jar.metadata[0].traceparent.endswith("-00")


async def test_of_traces_that_begin_here_as_many_are_collected_as_were_asked_for(traced):
    async with traced(sample=0.0) as (client, received):
        await client.post("/notes", json=GOOD)
        await client.post("/notes", json=GOOD, headers={"traceparent": TRACEPARENT})
    assert [span.trace for span in received.spans] == [TRACE]


async def test_a_collector_that_is_away_holds_up_nobody(traced, unused_tcp_port):
    async with traced(url=f"http://127.0.0.1:{unused_tcp_port}") as (client, _):
        assert (await client.post("/notes", json=GOOD)).status_code == 201
        assert (await client.get("/health/ready")).status_code == 200


async def test_a_link_of_another_trace_is_kept_and_a_malformed_one_is_not():
    with receiver() as received:
        tracer = OtlpTracer(received.url, "jar", "unknown")
        for link in (TRACEPARENT, "nonsense"):
            tracer.record("commit", "client", None, {"redress.event.types": ["one", "two"]}, time.time_ns(), link)
        await tracer.close()
    assert [span.links for span in received.spans] == [((TRACE, PARENT),), ()]
    assert received.spans[0].attributes == {"redress.event.types": ["one", "two"]}
