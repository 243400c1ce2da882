"""A time that a client tells may be off by as much as clocks differ, and by no more: in every field of every operation that takes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from live import CONTACT, SLOW, Live, ok, problem

from redress_events.event import SKEW
from redress_local.places import SERVICES

Field = tuple[str, str, str, str]  # service, method, path, name
Told = Callable[[Live, str], Callable[[datetime], httpx.Response]]
MARGIN = timedelta(seconds=30)  # the services' clock goes on while they are asked


def registering(name: str) -> Told:
    def ready(live: Live, complaint: str) -> Callable[[datetime], httpx.Response]:
        return lambda at: live.front_end.post("intake", "/complaints", {"channel": "web", "text": SLOW, name: at.isoformat()})

    return ready


def contacting(live: Live, complaint: str) -> Callable[[datetime], httpx.Response]:
    live.case(complaint, "technical_support")
    live.step(complaint, "technical_support", "accept")
    handler = live.handler("technical_support")
    return lambda at: handler.post("handling", f"/cases/{complaint}/contact", CONTACT | {"contacted_at": at.isoformat()})


# When something happened, which cannot lie in the future: how it is told, and how it is refused where it does.
HAPPENED: dict[Field, tuple[Told, int, str]] = {
    ("intake", "post", "/complaints", "received_at"): (registering("received_at"), 422, "invalid"),
    ("intake", "post", "/complaints", "since"): (registering("since"), 422, "invalid"),
    ("handling", "post", "/cases/{complaint}/contact", "contacted_at"): (contacting, 409, "contact-in-future"),
}
# Which part of a list is asked for: any time is one.
FILTERS: set[Field] = {
    ("sla-monitor", "get", "/deadlines", "before"),
    *(("intake", "get", "/complaints", name) for name in ("received_from", "received_to")),
    *((service, "get", "/ops/log", "since") for service in SERVICES),
}


def times(schema: Mapping[str, Any], document: Mapping[str, Any], name: str) -> Iterator[str]:
    """The names of all times in this schema, at whatever depth."""
    if (ref := schema.get("$ref")) is not None:
        part: Any = document
        for step in ref.removeprefix("#/").split("/"):
            part = part[step]
        yield from times(part, document, name)
    if schema.get("format") in ("date-time", "date", "time"):
        yield name
    for key, each in schema.get("properties", {}).items():
        yield from times(each, document, key)
    for each in [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]:
        yield from times(each, document, name)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from times(schema[key], document, name)


def asked_for(service: str, document: Mapping[str, Any]) -> Iterator[Field]:
    """Every time that a request of this service may carry, in its body or as a parameter."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                yield from ((service, method, path, name) for name in times(parameter["schema"], document, parameter["name"]))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from ((service, method, path, name) for name in times(content["schema"], document, ""))


def test_every_time_that_a_client_sends_is_asked_about_here(live: Live):
    found = {field for service in SERVICES for field in asked_for(service, live.page(service, "/openapi.json").json())}
    assert found == HAPPENED.keys() | FILTERS


@pytest.mark.parametrize("field", HAPPENED, ids=lambda field: field[-1])
def test_a_clients_clock_may_be_ahead_as_far_as_any_and_no_further(live: Live, field: Field):
    told, status, code = HAPPENED[field]
    tell = told(live, live.register(SLOW))
    problem(tell(datetime.now(UTC) + SKEW + MARGIN), status, code)
    taken = tell(datetime.now(UTC) + SKEW - MARGIN)
    assert taken.is_success, taken.text
    shown = live.view(taken.json()["id"]) if taken.status_code == 201 else taken.json()
    assert datetime.fromisoformat(shown[field[-1]]) <= datetime.now(UTC), "what is recorded has not happened yet"


def test_a_filter_takes_any_time(live: Live):
    for at in (datetime(1970, 1, 2, tzinfo=UTC), datetime.now(UTC) + timedelta(days=9)):
        ok(live.agent.get("sla-monitor", "/deadlines", state="due", before=at.isoformat()))
