"""The front door on the real engine and the real PostgreSQL, with Kafka out of reach."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from spine_stack import INTAKE_AGGREGATE, Stack, registered

from redress_chassis import ANYTHING, Body, Commands, Permissions, Permitted, Service, Settings, SubjectId, Words, problems
from redress_events.contracts import CONTRACTS, INTAKE
from redress_events.contracts.intake import ComplaintChased
from redress_spine.aggregate import CommandRejected
from redress_spine.store import connections
from redress_spine.store.engine import Engine
from redress_spine.store.states import Loaded

GOOD = {"text": "没有信号"}
NOWHERE = "127.0.0.1:9"  # the discard port: nobody answers
router = APIRouter()
PERMISSIONS = Permissions(
    {
        "POST /complaints": {"front-end": ANYTHING},
        "POST /complaints/{complaint}/chase": {"front-end": ANYTHING},
        "GET /complaints/{complaint}": {"front-end": ANYTHING},
    }
)


class TextBody(Body):
    text: Words


class View(BaseModel):
    id: str
    chases: int
    text: str | None


async def view(commands: Commands[Any], loaded: Loaded) -> View:
    words = await commands.words(loaded, loaded.state.own.text)
    return View(id=str(loaded.id), chases=loaded.state.own.chases, text=words.get(loaded.state.own.text))


def chase(state: Any, command: TextBody, context: Any) -> list[Any]:
    if command.text == "refuse":
        raise CommandRejected("not-now", "Not now.")
    return [ComplaintChased(chase=state.own.chases + 1, text=command.text)]


@router.post("/complaints", status_code=201)
async def register(body: TextBody, commands: Permitted[Any]) -> View:
    loaded = await commands.create(lambda context: [registered(body.text)])
    commands.created(f"/complaints/{loaded.id}")
    return await view(commands, loaded)


@router.post("/complaints/{complaint}/chase", responses=problems(404, 409, 412))
async def chase_complaint(complaint: SubjectId, body: TextBody, commands: Permitted[Any]) -> View:
    return await view(commands, await commands.decide(complaint, body, chase))


@router.get("/complaints/{complaint}", responses=problems(404))
async def read(complaint: SubjectId, commands: Permitted[Any]) -> View:
    return await view(commands, await commands.read(complaint))


@pytest.fixture
def stack(kafka_address: str, database: Any) -> Stack:
    return Stack(kafka_address, database)


@pytest.fixture
async def engine(stack: Stack) -> Engine:
    return await stack.engine("intake", start=False, kafka=NOWHERE)


@pytest.fixture
async def front(engine: Engine, settings: Settings, issuer: Any) -> AsyncIterator[httpx.AsyncClient]:
    service = Service(
        "intake", aggregates={"complaint": INTAKE_AGGREGATE}, contract=INTAKE, contracts=CONTRACTS, permissions=PERMISSIONS, routes=[router]
    )
    app = service.app(settings, engine=engine)
    headers = {"authorization": f"Bearer {issuer.token('front-end')}", "idempotency-key": "k"}
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
        yield client


async def count(stack: Stack, table: str) -> int:
    connection = await stack.connect("intake", owner=True)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    finally:
        await connection.close()


async def test_without_kafka_a_complaint_is_still_taken_down(front, stack):
    created = await front.post("/complaints", json=GOOD)
    again = await front.get(created.headers["location"])

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json() == again.json()
    assert created.json()["text"] == GOOD["text"]
    assert created.headers["etag"] == again.headers["etag"]
    assert await count(stack, "events") == 1


async def test_fifty_posts_at_once_with_one_key_are_one_complaint(front, stack):
    answers = await asyncio.gather(*(front.post("/complaints", json=GOOD) for _ in range(50)))

    assert {(answer.status_code, answer.text, answer.headers["location"]) for answer in answers} == {
        (201, answers[0].text, answers[0].headers["location"])
    }
    assert await count(stack, "events") == await count(stack, "state") == 1


async def test_the_same_key_with_another_body_is_refused(front, stack):
    await front.post("/complaints", json=GOOD)
    answer = await front.post("/complaints", json={"text": "other"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert await count(stack, "events") == 1


async def test_of_two_who_read_the_same_state_one_loses(front):
    created = await front.post("/complaints", json=GOOD)
    path, tag = f"{created.headers['location']}/chase", created.headers["etag"]
    answers = await asyncio.gather(
        *(front.post(path, json=GOOD, headers={"if-match": tag, "idempotency-key": key}) for key in ("first", "second"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_a_refusal_leaves_no_row(front, stack):
    created = await front.post("/complaints", json=GOOD)
    answer = await front.post(f"{created.headers['location']}/chase", json={"text": "refuse"})

    assert (answer.status_code, answer.json()["code"]) == (409, "not-now")
    assert await count(stack, "events") == 1


async def test_with_the_database_gone_the_answer_is_503_until_it_is_back(front, stack, postgres_admin):
    created = await front.post("/complaints", json=GOOD)
    name = (await stack.database("intake")).app_dsn.rpartition("/")[2].partition("?")[0]
    admin = await connections.connect(postgres_admin)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        for answer in (await front.post("/complaints", json=GOOD), await front.get(created.headers["location"])):
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert (await front.get("/health/ready")).status_code == 503
        assert (await front.get("/health/live")).status_code == 200
    finally:
        await admin.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')
        await admin.close()

    assert (await front.post("/complaints", json=GOOD)).json() == created.json()
