"""Every role, and every two roles together, at every endpoint of every service: on a complaint of the caller's department, on one that
another department has, and on none. What is answered is what the table of permissions says, and asking changes nothing.

Commands come with an If-Match that cannot hold: whoever may carry one out is answered 412, whoever may not never gets so far.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import httpx
import pytest
from live import CHARGED, SLOW, Live, fresh_key
from matrix import ASKED, BODIES, CREATE
from permission_page import service_of

from redress_chassis.auth.callers import ROLES
from redress_chassis.auth.permissions import ANYTHING, ANYTHING_UNLESS_BY_AREA, OWN, OWN_DEPARTMENT, Roles
from redress_intake.domain.number import number_from
from redress_local.places import SERVICES

HERE, OTHER = "technical_support", "finance"
DEFAULTS = {ANYTHING_UNLESS_BY_AREA: ANYTHING}  # test_areas.py has the other setting
NAMES = {"reactor": "webhooks", "key": "k", "delivery": f"msg_{'0' * 32}"}  # of what is not there
QUERIES = {"GET /deadlines": {"state": "due"}, "GET /cases/{complaint}/remarks": {"of": "reports"}}


@dataclass(frozen=True)
class Caller:
    roles: tuple[str, ...]
    department: str | None

    def __str__(self) -> str:
        return f"{'+'.join(self.roles) or 'no role'} of {self.department or 'no department'}"


@dataclass(frozen=True)
class Object:
    """A complaint, which another front end registered, and a subscription. department: None for a complaint that is not there. owned: the
    subscription is the caller's."""

    complaint: str
    number: str
    department: str | None
    subscription: str
    owned: bool = False


def callers() -> Iterator[Caller]:
    """A handler of the department that has the first complaint is one of another department for the second."""
    for count in (0, 1, 2):
        for roles in combinations(ROLES, count):
            yield Caller(roles, None)
            if "handler" in roles:
                yield Caller(roles, HERE)
    yield Caller(("handler",), "consulting")
    yield Caller(("agent", "bi"), HERE)


@pytest.fixture(scope="module")
def objects(live: Live) -> list[Object]:
    found = []
    with live.http("intake", "front-end", department="elsewhere") as client:
        another = client.post("/subscriptions", json=BODIES["POST /subscriptions"], headers={"idempotency-key": fresh_key()}).json()["id"]
    for text, department in ((SLOW, HERE), (CHARGED, OTHER)):
        complaint = live.register(text)
        live.case(complaint, department)
        found.append(Object(complaint, live.view(complaint)["number"], department, another))
    live.idle()
    return [*found, Object(str(uuid.uuid4()), number_from(uuid.uuid4().bytes), None, str(uuid.uuid4()))]


def expected(operation: str, roles: Roles, caller: Caller, target: Object) -> int:
    reaches = [DEFAULTS.get(reach, reach) for role, reach in roles.items() if role in caller.roles]
    if not reaches:
        return 403
    if "{" in operation:
        own = OWN_DEPARTMENT in reaches and caller.department == target.department
        reached = ANYTHING in reaches or own or (OWN in reaches and target.owned)
        if target.department is None or not reached or operation.startswith("POST /ops/effects") or "{delivery}" in operation:
            return 404  # nothing was given up, or delivered
        if not operation.startswith("GET"):
            return 412
        return 400 if operation.endswith("/stream") else 200
    if operation == "GET /ops/record":  # nothing is parked
        return 404
    return 201 if operation in CREATE else 200


def ask(client: httpx.Client, operation: str, target: Object, **more: Any) -> httpx.Response:
    method, _, path = operation.partition(" ")
    names = {"complaint": target.complaint, "number": target.number, "subscription": target.subscription}
    url = path.format_map(NAMES | names)
    if method == "GET":
        return client.get(url, params=QUERIES.get(operation, {}) | more, headers=ASKED)
    key = "matrix" if operation in CREATE else fresh_key()  # one complaint a caller, not one a test
    return client.request(method, url, json=BODIES[operation], headers={"idempotency-key": key, "if-match": '"none"'})


def listed(client: httpx.Client, operation: str, nobody: Object) -> set[str]:
    """The complaints of a list, by id."""
    found: set[str] = set()
    cursor: dict[str, str] = {}
    while True:
        page = ask(client, operation, nobody, limit=200, **cursor).json()
        found |= {item.get("complaint") or item["id"] for item in page["items"]}
        if not page.get("next"):
            return found
        cursor = {"cursor": page["next"]}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("caller", list(callers()), ids=str)
def test_what_is_answered_is_what_the_table_says(live: Live, objects: list[Object], service: str, caller: Caller):
    operations = service_of(service).permissions.operations
    with live.http(service, caller.roles, department=caller.department) as client:
        if service == "intake" and (made := ask(client, "POST /subscriptions", objects[0])).status_code == 201:
            objects = [replace(objects[0], subscription=made.json()["id"], owned=True), *objects[1:]]
        got = {
            (operation, target.department): ask(client, operation, target).status_code
            for operation in operations
            for target in (objects if "{" in operation else objects[:1])
        }
    assert got == {
        (operation, target.department): expected(operation, roles, caller, target)
        for operation, roles in operations.items()
        for target in (objects if "{" in operation else objects[:1])
    }


LISTS = {"intake": "GET /pending", "handling": "GET /cases", "sla-monitor": "GET /deadlines"}


@pytest.mark.parametrize("service", LISTS)
def test_a_list_holds_what_is_reached_and_nothing_else(live: Live, objects: list[Object], service: str):
    roles = service_of(service).permissions.operations[LISTS[service]]
    known = {each.complaint: each.department for each in objects if each.department}
    asked = 0
    for caller in callers():
        reaches = [DEFAULTS.get(reach, reach) for role, reach in roles.items() if role in caller.roles]
        if not reaches:
            continue
        with live.http(service, caller.roles, department=caller.department) as client:
            seen = listed(client, LISTS[service], objects[-1]) & known.keys()
        assert seen == {each for each, department in known.items() if ANYTHING in reaches or department == caller.department}, caller
        asked += 1
    assert asked


def test_the_matrix_has_a_body_for_each_command_and_no_other():
    commands = {each for service in SERVICES for each in service_of(service).permissions.operations if not each.startswith("GET ")}
    assert BODIES.keys() == commands
    assert all(re.fullmatch(r"(GET|POST|DELETE) /\S*", each) for service in SERVICES for each in service_of(service).permissions.operations)
