"""Agents who are told apart by area, at every operation of every service that is for them: what is in one of their areas, or in none, is
there, and all else is not, neither to be read nor to be changed, nor in a list. Each service runs alone, for this is not the default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from matrix import ASKED, BODIES, CREATE
from permission_page import service_of

from redress_callback import testing as visits
from redress_chassis.auth.permissions import ANYTHING, OWN_AREAS, Duties
from redress_events.contracts import SLA_MONITOR
from redress_events.contracts.intake import ComplaintRegistered
from redress_events.contracts.triage import ComplaintClassified
from redress_intake.domain.number import number_from
from redress_local.pytest_plugin import Serve
from redress_sla_monitor.automations import start_by
from redress_sla_monitor.domain.aggregate import AGGREGATE as WATCH
from redress_sla_monitor.policies import in_force
from redress_spine.testing import Happened, Spec

NOW = datetime.now(UTC)
WORDS = {"intake/1/text": "手机没有信号", "intake/1/phone": "13900000000", "handling/6/cause": "A cell", "handling/6/measures": "On"}
LISTS = {"triage": "/reviews", "callback": "/visits", "sla-monitor": "/deadlines?state=due"}
APART = Duties(agents_by_area=True)
SERVICES = ("intake", "triage", "sla-monitor", "callback")


def story(service: str, number: str, area: str | None) -> list[Happened]:
    """A complaint that stands in the list of this service, where it has one for agents."""
    registered = ComplaintRegistered(number=number, channel="web", kind="complaint", received_at=NOW, text="intake/1/text", area=area)
    match service:
        case "triage":
            unsure = ComplaintClassified(
                classification=1,
                category="other",
                sub_category="staff_conduct",
                kind="complaint",
                severity="normal",
                taxonomy="t@1",
                confidence=0.1,
                review=True,
            )
            return [registered, unsure]
        case "sla-monitor":
            watched = Spec(SLA_MONITOR, WATCH).given((registered, NOW)).at(NOW).when_due(start_by(in_force())).after
            return list(watched.happened)
        case "callback":
            given = visits.registered().model_copy(update={"number": number, "area": area})
            return [given, visits.classified(), visits.routed(), visits.resolved(), visits.scheduled()]
    return [registered]


@pytest.mark.parametrize("name", SERVICES)
async def test_agents_reach_what_is_in_their_areas_or_in_none_and_nothing_else(serve: Serve, name: str):
    service = service_of(name)
    http = await serve(service, "agent", agents_reach="area")
    known = {area: number_from(area.encode().ljust(16)[:16] if area else bytes(16)) for area in ("浦东", "静安", None)}
    found = {area: await http.knows(*story(name, number, area), words=WORDS) for area, number in known.items()}
    operations = service.permissions.under(APART).operations
    of_one = [each for each, roles in operations.items() if roles.get("agent") is OWN_AREAS and "{" in each]
    assert of_one
    for who, reached in (
        ("agent/a//浦东", {"浦东", None}),
        ("agent/a// 浦東 +静安", {"静安", None}),
        ("agent/a", {None}),
        ("agent+bi/a//静安", {"静安", None}),
        ("agent+supervisor/a", {*known}),
    ):
        for operation in of_one:
            method, _, path = operation.partition(" ")
            for area, complaint in found.items():
                url = path.format(complaint=complaint, number=known[area])
                body: Any = BODIES.get(operation)
                answer = await http.call(method, url, body, who, **(ASKED if method == "GET" else {"if-match": '"none"'}))
                answered = 412 if method != "GET" else 400 if path.endswith("/stream") else 200
                expected = answered if area in reached else 404
                assert answer.status_code == expected, (who, operation, area, answer.text)
        if name in LISTS:
            items = (await http.get(LISTS[name], who)).json()["items"]
            assert {item.get("complaint") or item["id"] for item in items} == {found[area] for area in reached}, who


def test_no_operation_on_one_complaint_is_open_to_agents_of_all_areas():
    """An operation that is added has to say so: the table of its service, or this test."""
    for name in SERVICES:
        service = service_of(name)
        of_agents = {each: roles["agent"] for each, roles in service.permissions.under(APART).operations.items() if "agent" in roles}
        assert {each for each, reach in of_agents.items() if reach is ANYTHING} <= {*CREATE, "GET /taxonomy", "GET /catalogue"}, name
    assert not [each for each, roles in service_of("handling").permissions.operations.items() if "agent" in roles]
