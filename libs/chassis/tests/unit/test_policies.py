"""Policy files as they are read, and an app that is given one that is wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import httpx
import orjson
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Message

import redress_chassis.running
from redress_chassis import ANYTHING, Permissions, Permitted, PolicyUnusable, Service, Settings, read_policy
from redress_events.event import Contract
from redress_spine.aggregate import Automation


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=1)
    colours: dict[Literal["lid", "glass"], Literal["red", "green"]] = {}


class Jars(Part):
    spare: list[Part] = []
    named: dict[str, Part] = {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "jars.yaml"


def test_a_policy_is_read(file: Path):
    file.write_text("size: 3\nspare:\n- {size: 1, colours: {lid: red}}\n")
    assert read_policy(file, Jars) == Jars(size=3, spare=[Part(size=1, colours={"lid": "red"})])


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        (b"{}", ["size: Field required"]),
        (b"size: 0", ["size: Input should be greater than or equal to 1 (line 1)"]),
        (b"size: 1\ncolour: red", ["colour: There is no such key; the keys are size, colours, spare, named. (line 2)"]),
        (
            b"size: 1\nspare: [{size: 1}, {size: 1, colour: red}]",
            ["spare.1.colour: There is no such key; the keys are size, colours. (line 2)"],
        ),
        (
            b"size: 1\nnamed: {big: {size: 1, colour: red}}",
            ["named.big.colour: There is no such key; the keys are size, colours. (line 2)"],
        ),
        (
            b"size: 1\ncolours: {lid: blue, foot: red}",
            ["colours.lid: Input should be 'red' or 'green' (line 2)", "colours.foot: Input should be 'lid' or 'glass' (line 2)"],
        ),
        (
            b"size: 1\nspare:\n- {size: 1}\n- size: 2\n  colours: {lid: blue}",
            ["spare.1.colours.lid: Input should be 'red' or 'green' (line 5)"],
        ),
        (b"- 1", ["Input should be a valid dictionary or instance of Jars"]),
        (b"", ["Input should be a valid dictionary or instance of Jars"]),
    ],
)
def test_everything_that_is_wrong_is_named_with_its_place_and_what_is_allowed(file: Path, text: bytes, flaws: list[str]):
    file.write_bytes(text)
    with pytest.raises(PolicyUnusable) as caught:
        read_policy(file, Jars, "REDRESS_JARS")
    assert str(caught.value).splitlines() == [f"The policy {file} (REDRESS_JARS): {flaw}" for flaw in flaws]


@pytest.mark.parametrize(("text", "why"), [(b"a: [1", "line 1, column"), (b"\xff\xfea", "position 0"), (b"a: 1\n b: 2", "line 2, column")])
def test_a_file_that_is_not_yaml_is_named_with_the_line(file: Path, text: bytes, why: str):
    file.write_bytes(text)
    with pytest.raises(PolicyUnusable, match=rf"jars\.yaml: It is not YAML in UTF-8: [^\n]*{why}"):
        read_policy(file, Jars)


def test_a_file_that_is_not_there_is_named(file: Path):
    with pytest.raises(PolicyUnusable, match=r"jars\.yaml: It cannot be read: No such file or directory\."):
        read_policy(file, Jars)


# --- what an app makes of them

router = APIRouter()


@router.get("/size")
async def size(call: Permitted[Any]) -> int:
    jars: Jars = call.policies
    return jars.size


def service_of(file: Path) -> Service:
    def automations(jars: Jars) -> list[Automation]:
        return [Automation("fill", due="true", decide=lambda state, context: [], index="any", actor=f"rules@{jars.size}")]

    return Service(
        "jar",
        aggregates={},
        contract=Contract("jar"),
        contracts={},
        permissions=Permissions({"GET /size": {"agent": ANYTHING}}),
        policies=lambda environment: read_policy(file, Jars),
        automations=automations,
        routes=[router],
    )


async def test_two_apps_of_one_service_decide_by_their_own_policies(
    file: Path, settings: Settings, jar: Any, issuer: Any, monkeypatch: pytest.MonkeyPatch
):
    made: list[Automation] = []

    def engine(automations: list[Automation], **_: Any) -> Any:
        made.extend(automations)
        return jar

    monkeypatch.setattr(redress_chassis.running, "Engine", engine)
    file.write_text("size: 1")
    service = service_of(file)
    apps = [service.app(settings), service.app(settings, policies=Jars(size=2))]
    headers = {"authorization": f"Bearer {issuer.token('agent')}"}
    async with apps[0].router.lifespan_context(apps[0]), apps[1].router.lifespan_context(apps[1]):
        clients = [httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://jar", headers=headers) for app in apps]
        assert [(await client.get("/size")).json() for client in clients] == [1, 2]
    assert [each.actor for each in made] == ["rules@1", "rules@2"]


async def started(app: Any) -> Message:
    """What a server is told of the start, by the ASGI protocol."""
    said: asyncio.Queue[Message] = asyncio.Queue()
    asked: asyncio.Queue[Message] = asyncio.Queue()
    asked.put_nowait({"type": "lifespan.startup"})
    with pytest.raises(Exception):  # noqa: B017  # whatever it is, the server takes it for the end
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, asked.get, said.put)
    return said.get_nowait()


async def test_a_wrong_policy_ends_the_start_with_what_is_wrong_and_no_traceback(file: Path, settings: Settings, jar: Any, capsys: Any):
    file.write_text("size: 0\ncolour: red")
    assert await started(service_of(file).app(settings, engine=jar)) == {"type": "lifespan.startup.failed", "message": ""}
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["level"], line["reason"]) for line in lines] == [
        ("bad-policy", "error", f"The policy {file}: size: Input should be greater than or equal to 1 (line 1)"),
        ("bad-policy", "error", f"The policy {file}: colour: There is no such key; the keys are size, colours, spare, named. (line 2)"),
    ]
    assert not jar.running


async def test_a_defect_at_the_start_keeps_its_traceback(settings: Settings, jar: Any, tmp_path: Path):
    (tmp_path / "jars.yaml").write_text("size: 1")
    jar.fails = ValueError("no such kind")
    failed = await started(service_of(tmp_path / "jars.yaml").app(settings, engine=jar))
    assert "Traceback" in failed["message"]


async def test_missing_settings_end_the_start_like_a_wrong_policy(file: Path, capsys: Any):
    assert (await started(service_of(file).app()))["message"] == ""
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in lines} == {"bad-setting"}
    assert any(line["reason"].startswith("REDRESS_DATABASE_URL: ") for line in lines)
