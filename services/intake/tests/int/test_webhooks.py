"""A front end is told, by a real receiver's account, what becomes of its own complaints: signed, in order, again after failures, once.

Long, for the receiver, the door and the services that tell of stages are needed by every story.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from spine_log import Author, Pen, pen
from spine_stack import MAC, MASTER, Stack, eventually
from standardwebhooks import Webhook

from redress_chassis.edge.outbound import Outbound
from redress_events.contracts import CONTRACTS, HANDLING, INTAKE, TRIAGE
from redress_events.contracts.handling import CaseAccepted, CaseOpened, ProgressReported
from redress_events.contracts.triage import ComplaintRouted
from redress_events.event import Event
from redress_intake.domain.aggregate import AGGREGATE, SUBSCRIPTION
from redress_intake.main import service
from redress_intake.reactors import forget, reactor, sweep
from redress_intake.telling import Known
from redress_local.over_http import OverHttp
from redress_local.pytest_plugin import Serve
from redress_spine.admin.rebuild import Rebuild
from redress_spine.admin.verify import verify
from redress_spine.aggregate import Verified
from redress_spine.messaging import topics
from redress_spine.processing.automations import due_sql
from redress_spine.processing.clock import wall_clock
from redress_spine.processing.planning import plan_of
from redress_spine.processing.reactor import Retry
from redress_spine.store import connections
from redress_spine.store.engine import Config, Engine

MIGRATIONS = Path(__file__).parents[2] / "migrations"
KINDS = {"complaint": AGGREGATE, "subscription": SUBSCRIPTION}
GIVEN = {"channel": "web", "text": "手机没有信号", "phone": "13900000000", "customer": "张三"}
SOON = Retry(first=timedelta(milliseconds=50), longest=timedelta(milliseconds=100), attempts=5)
ROUTED = ComplaintRouted(routing=1, department="network", queue="access")
OPENED = CaseOpened(cycle=1, routing=1, department="network")
ACCEPTED = CaseAccepted(cycle=1, handler="li", routing=1)
PROGRESS = ProgressReported(cycle=1, note="A line card was ordered.")


@dataclass
class Receiver:
    """A front end's own server. answers: by number of the call, the status; 204 where it says nothing."""

    address: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[dict[str, Any], int], Any] = lambda said, n: 204

    @property
    def stages(self) -> list[str]:
        return [json.loads(body)["data"]["stage"] for _, body in self.calls]

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.calls.append((dict(request.headers), body))
        status = self.answer(json.loads(body)["data"], len(self.calls))
        if asyncio.iscoroutine(status):
            status = await status
        return Response(status_code=status, headers={"location": self.address} if 300 <= status < 400 else {})


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made, app = Receiver(), FastAPI()
    app.add_api_route("/hook", made.take, methods=["POST"])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await eventually(started)
    made.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/hook"
    try:
        yield made
    finally:
        server.should_exit = True
        await serving


@dataclass
class Desk:
    """Intake, running; and the services that tell it of stages."""

    http: OverHttp
    stack: Stack
    hand: Pen
    engine: Engine
    authors: dict[str, dict[str, Author]] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, client: str = "app", role: str = "front-end", key: str = "") -> Any:
        return await self.http.call(method, path, body, f"{role}/{client}", key)

    async def registered(self, client: str = "app") -> str:
        answer = await self.call("POST", "/complaints", GIVEN, client)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def subscribed(self, address: str, client: str = "app", **more: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/subscriptions", {"address": address, **more}, client)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def say(self, complaint: str, *events: Event) -> None:
        """Another service says this of a complaint."""
        for event in events:
            contract = next(each for each in (TRIAGE, HANDLING) if type(event) in each.type_of)
            author = self.authors.setdefault(complaint, {}).setdefault(contract.source, Author(f"complaint/{complaint}", contract))
            await self.hand.write(*author.say(event, at=wall_clock()))

    async def deliveries(self, subscription: str, client: str = "app") -> list[dict[str, Any]]:
        answer = await self.call("GET", f"/subscriptions/{subscription}/deliveries", client=client)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        connection = await connections.connect(self.http.databases.owner_dsn)
        try:
            await connection.execute(f"SET search_path = {await connection.fetchval('SELECT schema FROM live')}, public")
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    def described(self) -> Verified:
        return Verified("intake", KINDS, INTAKE, CONTRACTS, self.stack.partitions, self.stack.prefix, MAC)


@pytest.fixture
async def desk(kafka_address: str, database: Any, serve: Serve) -> AsyncIterator[Desk]:
    stack = Stack(kafka_address, database)
    await topics.ensure(kafka_address, partitions=stack.partitions, prefix=stack.prefix)
    made = await database("intake")
    engine = Engine(
        source="intake",
        aggregates=KINDS,
        contract=INTAKE,
        contracts=CONTRACTS,
        automations=[],
        queries=service.queries,
        fold=service.fold,
        config=Config(made.app_dsn, kafka_address, MASTER, MAC, stack.partitions, 0.2, topic_prefix=stack.prefix),
        reactors=[reactor(Outbound(local=True), SOON)],
    )
    where = {"databases": made, "engine": engine, "kafka": kafka_address, "partitions": stack.partitions, "profile": "local"}
    http = await serve(service, "front-end", **where)
    async with pen(stack) as hand:

        async def ready() -> bool:
            return len(engine.projector.partitions) == stack.partitions

        await eventually(ready)
        yield Desk(http, stack, hand, engine)
    await stack.end()


async def test_a_front_end_is_told_of_its_own_complaints_signed_in_order_and_without_a_word_of_the_customer(desk: Desk):
    async with receiver() as app:
        before = await desk.registered()
        made = await desk.subscribed(app.address, stages=["routed", "in-handling", "progress-reported"])
        assert made["secret"].startswith("whsec_") and made["active"] and made["address"] == app.address
        mine, others = await desk.registered(), await desk.registered("shop")
        for complaint in (others, mine, before):
            await desk.say(complaint, ROUTED, OPENED, ACCEPTED)
        await desk.say(mine, PROGRESS, PROGRESS)

        async def told() -> bool:
            return len(app.calls) >= 6

        await eventually(told)

        async def delivered() -> bool:
            return [each["status"] for each in await desk.deliveries(made["id"])] == ["delivered"] * 6

        await eventually(delivered)
        by_complaint: dict[str, list[str]] = {}
        for headers, body in app.calls:
            said = Webhook(made["secret"]).verify(body, headers)
            assert headers["content-type"] == "application/json" and headers["webhook-id"].startswith("msg_")
            by_complaint.setdefault(said["data"]["id"], []).append(said["data"]["stage"])
            assert set(said["data"]) <= {"id", "number", "stage", "cycle", "reached_at", "links"}
            assert not any(word in body.decode() for word in (*GIVEN.values(), "line card"))
            path = said["data"]["links"]["complaint"]
            assert (await desk.call("GET", path)).json()["number"] == said["data"]["number"]
        assert by_complaint == {
            mine: ["routed", "in-handling", "progress-reported", "progress-reported"],
            before: ["routed", "in-handling"],
        }
        assert len({headers["webhook-id"] for headers, _ in app.calls}) == 6
    rows = await desk.sql("SELECT data::text || opens::text AS kept FROM effects")
    assert not any(made["secret"] in row["kept"] or app.address in row["kept"] for row in rows)
    (journal,) = await desk.sql("SELECT string_agg(convert_from(data, 'UTF8'), '') AS all FROM events")
    assert made["secret"] not in journal["all"] and app.address not in journal["all"], "it is on the log in clear"


async def test_what_is_not_taken_is_told_again_with_its_id_and_what_follows_it_waits(desk: Desk):
    async with receiver() as app:
        made = await desk.subscribed(app.address)
        complaint = await desk.registered()
        app.answer = lambda said, n: 302 if n == 1 else 500 if n == 2 else 200
        await desk.say(complaint, ROUTED, OPENED, ACCEPTED)

        async def told() -> bool:
            return app.stages == ["routed", "routed", "routed", "in-handling"]

        await eventually(told)
        assert len({headers["webhook-id"] for headers, _ in app.calls[:3]}) == 1
        assert len({body for _, body in app.calls[:3]}) == 1
        for headers, body in app.calls:
            Webhook(made["secret"]).verify(body, headers)

        async def delivered() -> bool:
            return [each["status"] for each in await desk.deliveries(made["id"])] == ["delivered", "delivered"]

        await eventually(delivered)
        latest, first = await desk.deliveries(made["id"])
        assert (first["attempts"], first["stage"], latest["stage"]) == (3, "routed", "in-handling")

        again = await desk.call("POST", f"/subscriptions/{made['id']}/deliveries/{first['id']}/redeliver")
        assert (again.status_code, again.json()["status"]) == (202, "waiting"), again.text
        await eventually(delivered)
        assert app.stages[4:] == ["routed"] and app.calls[4][0]["webhook-id"] == first["id"]
        unknown = await desk.call("POST", f"/subscriptions/{made['id']}/deliveries/msg_{'0' * 32}/redeliver")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")


async def test_a_receiver_that_is_gone_or_takes_nothing_is_told_no_more_and_its_subscription_shows_it(desk: Desk):
    async with receiver() as gone, receiver() as failing, receiver() as fine:
        gone.answer, failing.answer = (lambda said, n: 410), (lambda said, n: 503)
        by_name = {name: await desk.subscribed(each.address) for name, each in (("gone", gone), ("failing", failing), ("fine", fine))}
        complaint = await desk.registered()
        await desk.say(complaint, ROUTED, OPENED, ACCEPTED)

        async def disabled() -> bool:
            shown = {name: (await desk.call("GET", f"/subscriptions/{made['id']}")).json() for name, made in by_name.items()}
            return {name: (each["active"], each.get("disabled")) for name, each in shown.items()} == {
                "gone": (False, "gone"),
                "failing": (False, "failing"),
                "fine": (True, None),
            }

        await eventually(disabled)

        async def settled() -> bool:
            found = {name: [each["status"] for each in await desk.deliveries(made["id"])] for name, made in by_name.items()}
            return found == {
                "gone": ["dropped", "given-up"],
                "failing": ["dropped", "given-up"],
                "fine": ["delivered", "delivered"],
            }

        await eventually(settled)
        assert (len(gone.calls), len(failing.calls), fine.stages) == (1, SOON.attempts, ["routed", "in-handling"])
        (delivery,) = [each for each in await desk.deliveries(by_name["gone"]["id"]) if each["status"] == "given-up"]
        refused = await desk.call("POST", f"/subscriptions/{by_name['gone']['id']}/deliveries/{delivery['id']}/redeliver")
        assert (refused.status_code, refused.json()["code"]) == (409, "subscription-disabled")
        letters = (await desk.call("GET", "/ops/effects", role="ops")).json()
        assert {each["error"] for each in letters} == {"The receiver answered 410: it is gone.", "The receiver answered 503."}
        one = letters[0]
        dropped = await desk.call("POST", f"/ops/effects/{one['reactor']}/{one['key']}/drop", {"why": "they know"}, role="ops")
        assert dropped.status_code == 204
        again = await desk.call("POST", f"/ops/effects/{one['reactor']}/{one['key']}/retry", role="ops")
        assert again.status_code == 404
        assert len((await desk.call("GET", "/ops/effects", role="ops")).json()) == 1
    events = [row["type"] for row in await desk.sql("SELECT type FROM events WHERE stream LIKE 'subscription/%' ORDER BY global_position")]
    assert sorted(events[3:]) == ["redress.intake.webhook-disabled.v1"] * 2


async def test_a_disabled_subscription_is_enabled_by_its_owner_and_told_of_what_comes_then(desk: Desk):
    async with receiver() as app:
        app.answer = lambda said, n: 410 if n == 1 else 204
        made = await desk.subscribed(app.address)
        path, complaint = f"/subscriptions/{made['id']}", await desk.registered()
        await desk.say(complaint, ROUTED)

        async def disabled() -> bool:
            return not (await desk.call("GET", path)).json()["active"]

        await eventually(disabled)
        await desk.say(complaint, OPENED, ACCEPTED)

        async def looked_at() -> bool:
            seen = (await desk.call("GET", f"/complaints/{complaint}")).json()["stage"] == "in-handling"
            return seen and not await desk.sql("SELECT FROM stage_news")

        await eventually(looked_at)
        assert (await desk.call("POST", f"{path}/enable", client="shop")).status_code == 404
        for _ in range(2):
            enabled = await desk.call("POST", f"{path}/enable")
            assert (enabled.status_code, enabled.json()) == (200, {name: value for name, value in made.items() if name != "secret"})
        await desk.say(complaint, PROGRESS)

        async def told() -> bool:
            return app.stages == ["routed", "progress-reported"]

        await eventually(told)
        Webhook(made["secret"]).verify(app.calls[1][1], app.calls[1][0])
        (given_up,) = [each for each in await desk.deliveries(made["id"]) if each["status"] == "given-up"]
        assert (await desk.call("POST", f"{path}/deliveries/{given_up['id']}/redeliver")).status_code == 202

        async def told_again() -> bool:
            return app.stages == ["routed", "progress-reported", "routed"]

        await eventually(told_again)


async def test_who_unsubscribes_is_told_no_more_and_subscriptions_are_each_front_ends_own(desk: Desk):
    async with receiver() as app:
        made, secret = await desk.subscribed(app.address), f"whsec_{'QUJD' * 8}"
        theirs = await desk.subscribed(app.address, "shop", secret=secret)
        assert theirs["secret"] == secret
        path = f"/subscriptions/{made['id']}"
        for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries")):
            assert (await desk.call(method, where, client="shop")).status_code == 404
        assert (await desk.call("GET", path, role="agent")).json()["code"] == "wrong-role"
        listed = (await desk.call("GET", "/subscriptions")).json()["items"]
        assert [each["id"] for each in listed] == [made["id"]] and "secret" not in listed[0]
        assert "secret" not in (await desk.call("GET", path)).json()
        assert (await desk.call("DELETE", path)).status_code == 204
        assert (await desk.call("GET", path)).status_code == 404
        assert (await desk.call("GET", "/subscriptions")).json()["items"] == []
        mine, shops = await desk.registered(), await desk.registered("shop")
        await desk.say(mine, ROUTED)
        await desk.say(shops, ROUTED)

        async def told() -> bool:
            return len(app.calls) == 1 and not await desk.sql("SELECT FROM stage_news")

        await eventually(told)
        assert json.loads(app.calls[0][1])["data"]["id"] == shops


async def test_the_same_key_makes_one_subscription_and_the_same_answer_with_its_secret(desk: Desk):
    body = {"address": "http://127.0.0.1:1/hook"}
    first, second = [await desk.call("POST", "/subscriptions", body, key="k") for _ in range(2)]
    assert first.status_code == 201 and first.content == second.content and first.json()["secret"]
    for n in range(19):
        await desk.subscribed(f"http://127.0.0.1:1/{n}")
    many = await desk.call("POST", "/subscriptions", body)
    assert (many.status_code, many.json()["code"]) == (409, "too-many-subscriptions")
    assert (await desk.call("POST", "/subscriptions", body, key="k")).content == first.content, "the limit took its answer away"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"address": "ftp://example.com"}, "/address", "bad-address"),
        ({"address": "http://no-such-host.invalid/"}, "/address", "unknown-host"),
        ({"stages": ["registered"]}, "/stages/0", None),
        ({"stages": []}, "/stages", None),
        ({"secret": "short"}, "/secret", None),
    ],
)
async def test_what_cannot_be_told_to_is_refused_with_its_place(desk: Desk, change: dict[str, Any], pointer: str, code: str | None):
    answer = await desk.call("POST", "/subscriptions", {"address": "http://127.0.0.1:1/"} | change)
    assert (answer.status_code, answer.json()["pointer"]) == (422, pointer), answer.text
    assert code is None or answer.json()["errors"][0]["code"] == code


async def test_a_rebuild_tells_nobody_anything_again_and_verify_finds_subscriptions_equal(desk: Desk, tmp_path: Path):
    async with receiver() as app:
        made = await desk.subscribed(app.address)
        complaint = await desk.registered()
        await desk.say(complaint, ROUTED, OPENED, ACCEPTED)

        async def told() -> bool:
            return [each["status"] for each in await desk.deliveries(made["id"])] == ["delivered", "delivered"]

        await eventually(told)
        await Rebuild(
            desk.described(),
            fold=service.fold,
            owner_dsn=desk.http.databases.owner_dsn,
            app_role=desk.http.databases.app_role,
            service_migrations_dir=MIGRATIONS,
            kafka=desk.stack.kafka,
            master=MASTER,
        ).run()

        async def looked_at() -> bool:
            return not await desk.sql("SELECT FROM stage_news")

        await eventually(looked_at)
        await desk.say(complaint, PROGRESS)

        async def told_what_is_new() -> bool:
            return app.stages == ["routed", "in-handling", "progress-reported"]

        await eventually(told_what_is_new)
        assert (await desk.call("GET", f"/subscriptions/{made['id']}")).json()["address"] == app.address

        async def sent() -> bool:
            await desk.engine.watch.ask()
            return (await desk.engine.measures()).backlog_events == 0

        await eventually(sent)
    report = await verify(desk.described(), desk.http.databases.app_dsn, desk.stack.kafka, master=MASTER)
    assert report.equal and not report.dead_letters, report


async def test_other_services_pass_subscriptions_and_their_keys_over(desk: Desk):
    await desk.subscribed("http://127.0.0.1:1/hook")
    complaint = await desk.registered()
    handling = await desk.stack.engine("handling", automations=[])

    async def observed() -> bool:
        connection = await desk.stack.connect("handling")
        rows = await connection.fetch("SELECT subject FROM state")
        await connection.close()
        return [row["subject"] for row in rows] == [f"complaint/{complaint}"]

    await eventually(observed)
    assert (await handling.measures()).dead_letters == 0 and await handling.parked() == ([], [])


async def test_news_is_found_by_its_index(desk: Desk):
    await desk.sql(
        "INSERT INTO state (subject, partition, own) SELECT 'complaint/' || gen_random_uuid(), 0, jsonb_build_object('number', 'N' || n)"
        " FROM generate_series(1, 20000) n"
    )
    await desk.sql("ANALYZE state")
    connection = await connections.connect(desk.http.databases.owner_dsn)
    await connection.execute(f"SET search_path = {await connection.fetchval('SELECT schema FROM live')}, public")
    await connection.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + due_sql(plan_of(reactor(Outbound()))), [0, 1, 2, 3], 0, 200))
    await connection.close()
    assert "Index Cond: (subject = ANY" in plan and "Seq Scan on state" not in plan, plan


async def test_news_that_comes_while_somebody_looks_is_not_taken_for_seen(desk: Desk):
    await desk.sql("INSERT INTO stage_news VALUES ('complaint/x', 2), ('complaint/y', 1)")
    connection = await connections.connect(desk.http.databases.owner_dsn)
    await connection.execute(f"SET search_path = {await connection.fetchval('SELECT schema FROM live')}, public")
    await forget(connection, ["complaint/x", "complaint/y"], {"complaint/x": Known(seen=1), "complaint/y": Known(seen=1)})
    await connection.close()
    assert [row["subject"] for row in await desk.sql("SELECT subject FROM stage_news")] == ["complaint/x"]


async def test_news_of_front_ends_that_never_subscribed_is_swept_away_and_other_news_stays(desk: Desk):
    await desk.subscribed("http://127.0.0.1:9/hook")
    mine, _ = await desk.registered(), await desk.registered("shop")
    connection = await connections.connect(desk.http.databases.owner_dsn)
    await connection.execute(f"SET search_path = {await connection.fetchval('SELECT schema FROM live')}, public")
    transaction = connection.transaction()  # unseen by the loop that would look at them
    await transaction.start()
    await connection.execute("INSERT INTO stage_news SELECT subject FROM complaints ON CONFLICT DO NOTHING")
    await sweep(connection)
    left = [row["subject"] for row in await connection.fetch("SELECT subject FROM stage_news")]
    await transaction.rollback()
    await connection.close()
    assert left == [f"complaint/{mine}"]
