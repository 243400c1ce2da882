"""One complaint is one linked trace: from the front end's request through all services, and no span says anything personal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from live import SLOW, Live, eventually, ok
from otlp import Collected, Receiver, receiver

from redress_local.places import SERVICES
from redress_local.pytest_plugin import a_system

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DEPARTMENT = "technical_support"
NAME, PHONE = "Zhang Weiwei", "13800138000"
KINDS = {"server", "client", "producer", "consumer", "internal"}


@pytest.fixture(scope="module")
def received() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture(scope="module")
def traced(received: Receiver) -> Iterator[Live]:
    """A system whose services send their spans soon, to this process."""
    environment = {"REDRESS_OTLP_ENDPOINT": received.url, "REDRESS_BUILD": "4f2c1e9", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with a_system(settle_seconds=1.0, environment=environment) as system, closing(Live(system)) as live:
        yield live


@pytest.fixture(scope="module")
def complaint(traced: Live) -> str:
    """One that a front end registered under a trace of its own, and that has a case."""
    body = {"channel": "hotline", "text": SLOW, "customer": NAME, "phone": PHONE}
    with traced.http("intake") as front_end:
        headers = {"idempotency-key": "traced", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        found: str = ok(front_end.post("/complaints", json=body, headers=headers), 201)["id"]
    traced.reaches(found, "routed", owner=f"department:{DEPARTMENT}")
    traced.case(found, DEPARTMENT)
    return found


@pytest.fixture(scope="module")
def spans(received: Receiver, complaint: str) -> list[Collected]:
    """All of its trace, once every service has told its part and nothing is on its way."""

    def all_there() -> list[Collected] | None:
        found = received.trace(TRACE)
        there = {span.service for span in found} == set(SERVICES) and {span.kind for span in found} == KINDS
        return found if there and {span.parent for span in found} - {span.id for span in found} == {PARENT} else None

    return eventually(all_there, f"the trace {TRACE} has spans of all services, and the parent of each", within=60.0)


def test_one_complaint_is_one_linked_trace_with_spans_of_all_services(spans: list[Collected], complaint: str):
    (root,) = [span for span in spans if span.parent == PARENT]
    assert (root.service, root.name, root.kind) == ("intake", "POST /complaints", "server")
    ids = {span.id: span for span in spans}
    assert len(ids) == len(spans)
    for span in spans:
        above = span
        while above.parent != PARENT:
            assert above.parent is not None
            above = ids[above.parent]
        assert above is root
    assert {span.attributes["redress.subject"] for span in spans} == {f"complaint/{complaint}"}
    assert not any(span.failed for span in spans)


def test_the_trace_tells_how_a_complaint_was_classified_and_got_its_case(spans: list[Collected]):
    ids = {span.id: span for span in spans}

    def above(span: Collected) -> str:
        return ids[span.parent].name if span.parent in ids else ""

    told = {(span.service, span.name, above(span)) for span in spans}
    topic = "complaints.lifecycle.v1"
    assert told >= {
        ("intake", "commit", "POST /complaints"),
        ("intake", f"send {topic}", "POST /complaints"),
        ("triage", f"process {topic}", "POST /complaints"),
        ("triage", "automation classify", "POST /complaints"),
        ("triage", "commit", "automation classify"),
        ("triage", f"send {topic}", "automation classify"),
        ("handling", f"process {topic}", "automation classify"),
        ("handling", "automation open", "automation classify"),
        ("callback", f"process {topic}", "POST /complaints"),
    }
    assert ("sla-monitor", "automation start") in {(service, name) for service, name, _ in told}


def test_a_later_step_is_a_trace_of_its_own_that_is_linked_to_what_was_before(received: Receiver, traced: Live, complaint: str, spans):
    traced.step(complaint, DEPARTMENT, "accept")

    def linked() -> list[Collected]:
        return [span for span in list(received.spans) if span.name == "commit" and any(trace == TRACE for trace, _ in span.links)]

    (commit,) = eventually(linked, "the commit of the acceptance is told, with its link", within=60.0)
    assert (commit.service, commit.attributes["redress.event.types"]) == ("handling", ["redress.handling.case-accepted.v1"])
    assert commit.trace != TRACE


def test_spans_say_nothing_personal_and_who_sent_them(received: Receiver, spans: list[Collected], traced: Live):
    personal = [text.encode() for text in (SLOW, NAME, PHONE, "front-end-one")]
    assert not any(word in body for body in received.raw for word in personal)
    assert {resource["redress.build"] for resource in received.resources} == {"4f2c1e9"}
    assert traced.page("intake", "/health/live").json()["build"] == "4f2c1e9"
