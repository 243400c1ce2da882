"""A command or a read that is served directly is answered as FastAPI would answer it, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from redress_chassis import Service
from redress_chassis.api import direct
from redress_chassis.api.commands import Permitted

NOTE = "00000000-0000-4000-8000-000000000001"
GOOD = b'{"title": "a", "text": "b", "tags": ["x"], "at": "2026-03-02T12:00:00+08:00", "weight": 1.5, "mixed": "7"}'
REFUSED = b'{"title": "a", "text": "refuse"}'
PATHS = ["/notes", f"/notes/{NOTE}/add", "/notes/nobody/add", f"/notes/{NOTE[:-1]}2/add"]
BODIES = [
    GOOD,
    REFUSED,
    b"",
    b"null",
    b"[]",
    b"7",
    b'"x"',
    b"{}",
    b'{"title": 7, "text": null, "colour": "red"}',
    b'{"title": "  ", "text": "b", "at": "yesterday"}',
    b'{"title": "a", "text": "b", "at": 1700000000}',
    b'{"title": "a", "text": "b", "at": "9999-12-31T23:59:59-12:00"}',
    b'{"title": "a", "text": "b", "count": "7", "urgent": 1, "tags": "abc"}',
    b'{"title": "a", "text": "b", "mixed": 1.5}',
    b'{"title": "a", "text": "b", "weight": 3}',
]
Switch = Callable[[bool], None]


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Serves what is plain directly, or by FastAPI's own handler."""
    ours = direct.Direct.__call__

    async def theirs(self: direct.Direct, scope: Scope, receive: Receive, send: Send) -> None:
        await self.generally(scope, receive, send)

    return lambda on: monkeypatch.setattr(direct.Direct, "__call__", ours if on else theirs)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.sampled_from(PATHS), body=st.sampled_from(BODIES), key=st.sampled_from([None, "", "k2"]), wrong=st.booleans())
async def test_a_command_is_answered_as_fastapi_answers_it(alice: httpx.AsyncClient, jar, switch, path, body, key, wrong):
    jar.rows.setdefault(f"note/{NOTE}", ("first",))
    headers = {"content-type": "application/json", "if-match": '"stale"' if wrong else "*"}
    headers |= {} if key is None else {"idempotency-key": key}
    answers = []
    for on in (True, False):  # what is done at first is answered the second time under its key
        switch(on)
        answers.append(await alice.post(path, content=body, headers=headers))
    one, two = answers
    assert one.status_code == two.status_code
    assert {**one.json(), "trace": ""} == {**two.json(), "trace": ""}
    again = {"idempotency-replayed": "true"} if two.is_success else {}
    assert {**one.headers, **again} == dict(two.headers)


@pytest.mark.parametrize("path", [f"/notes/{NOTE}", f"/notes/{NOTE[:-1]}2", "/notes/nobody"])
async def test_a_read_is_answered_as_fastapi_answers_it(alice: httpx.AsyncClient, jar, switch, path):
    jar.rows[f"note/{NOTE}"] = ("first",)
    answers = []
    for on in (True, False):
        switch(on)
        answers.append(await alice.get(path))
    one, two = answers
    assert (one.status_code, {**one.json(), "trace": ""}, dict(one.headers)) == (
        two.status_code,
        {**two.json(), "trace": ""},
        dict(two.headers),
    )
    assert (one.status_code == 200) == (NOTE in path)


def test_what_is_no_coroutine_is_left_to_fastapi():
    router = APIRouter()

    @router.get("/plain")
    def plain(call: Permitted[Any]) -> dict[str, str]:
        return {}

    (route,) = router.routes
    assert isinstance(route, APIRoute) and not direct.is_plain(route)


def test_commands_and_reads_of_one_thing_are_served_directly_and_lists_are_not(service: Service):
    declared = [route.declared for route in service.app().router.routes if isinstance(route, direct.Served)]
    notes = {f"{min(route.methods or ())} {route.path}": route for route in declared if "note" in route.path or "written" in route.path}
    plain = {name for name, route in notes.items() if isinstance(route, APIRoute) and direct.is_plain(route)}
    assert plain == {"POST /notes", "GET /notes/{note}", "POST /notes/{note}/add"}
    assert notes.keys() - plain == {"GET /notes", "GET /written"}
