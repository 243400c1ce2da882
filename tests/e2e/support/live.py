"""The running system as its users and its operators see it: a token for each role, waiting until something is true, and proof that nothing
was lost or doubled.

Long, for one reads here all that a test can ask of a system.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from redress_chassis.service import Service
from redress_cli.api import Api
from redress_cli.log_reading import events
from redress_cli.stack_target import of_stack
from redress_events.event import micros
from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_local.places import SERVICES, package
from redress_local.processes import run
from redress_local.state import Stack
from redress_local.system import System
from redress_spine.admin.verify import VerifyReport, verify
from redress_spine.aggregate import Automation
from redress_spine.messaging.envelope import Envelope
from redress_spine.messaging.kafka_clients import Consumer, KafkaClients
from redress_spine.messaging.log_end import MARGIN
from redress_spine.processing.idle import next_due_sql
from redress_spine.store import connections

T = TypeVar("T")
SOON = 30.0  # seconds in which an event goes through all services on a machine that is busy with other things
PAUSE = 0.05  # seconds between two looks
HELD_BACK = ("redress_stuck_rows", "redress_parked_subjects", "redress_dead_letters")
GONE = (  # the connection, or with a rebuild the schema that its search path names
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    OSError,
)
BACKLOG = """
SELECT count(*) FROM public.events, public.relay_checkpoint AS sent
WHERE (events.transaction_id, events.global_position) > (sent.transaction_id, sent.global_position)
"""

# Texts whose class and department the packaged taxonomy is sure of.
SLOW = "家里的宽带晚上特别慢,看视频一直缓冲,一天断网好几次。"
CHARGED = "I was charged twice for my monthly package and the bill shows a fee that nobody explained to me."
UNCLEAR = "事情已经反映过好几次了,希望给一个说法。"

CONTACT: dict[str, Any] = {"means": "phone", "note": "Apologised and asked since when."}
RESOLVE: dict[str, Any] = {
    "cause": "A worn splice",
    "measures": "Spliced anew and measured",
    "responsible_unit": "Field team 2",
    "told_customer": "phone",
}
REJECT: dict[str, Any] = {"reason": "The contract runs until June; explained the clause.", "told_customer": "phone"}


def eventually(check: Callable[[], T | None], what: str, within: float = SOON) -> T:
    """The first answer that counts as true. Fails with `what` and the last answer."""
    end = time.monotonic() + within
    while not (answer := check()):
        if time.monotonic() > end:
            pytest.fail(f"Not within {within:.0f} s: {what}. The last answer: {answer!r}")
        time.sleep(PAUSE)
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, in problem+json, complete, and without a word of what was sent."""
    assert answer.status_code == status, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert (content["status"], content["code"], content["type"]) == (status, code, f"urn:redress:problem:{code}"), content
    assert content["title"] and content["detail"] and content["trace"]
    return content


def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}"
    content: dict[str, Any] = answer.json()
    return content


class Databases:
    """One connection to each service's database, kept open: signing on costs more than most questions. Made anew after a server's death,
    and after a rebuild. `close` ends them."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._open: dict[str, asyncpg.Connection] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="databases", daemon=True)
        self._thread.start()

    def fetch(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        with self._lock:
            return asyncio.run_coroutine_threadsafe(self._fetch(service, statement, *values), self._loop).result(60)

    async def _fetch(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        if service in self._open:
            try:
                return list(await self._open[service].fetch(statement, *values))
            except GONE:
                self._open.pop(service).terminate()
        connection = self._open[service] = await connections.connect(self._system.databases[service].owner_dsn)
        await connection.execute(f"SET search_path = {await connection.fetchval('SELECT schema FROM public.live')}, public")
        return list(await connection.fetch(statement, *values))

    def close(self) -> None:
        """Nothing can be asked afterwards."""
        with self._lock:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(60)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _close(self) -> None:
        for connection in self._open.values():
            connection.terminate()  # waits for no server that may be away
        self._open.clear()


class Live:
    """Everybody who works with one running system. Whoever makes one closes it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._databases = Databases(system)
        self._apis: dict[tuple[str, str, str | None], Api] = {}

    def close(self) -> None:
        self._databases.close()

    @property
    def stack(self) -> Stack:
        return self.system.stack()

    # -- people

    def api(self, role: str, department: str | None = None, subject: str | None = None) -> Api:
        """One caller for each role and department."""
        named = (role, subject or f"{role}-{department or 'one'}", department)
        if named not in self._apis:
            self._apis[named] = Api(of_stack(self.stack), role, named[1], department)
        return self._apis[named]

    @property
    def front_end(self) -> Api:
        return self.api("front-end")

    @property
    def agent(self) -> Api:
        return self.api("agent")

    @property
    def supervisor(self) -> Api:
        return self.api("supervisor")

    def handler(self, department: str) -> Api:
        return self.api("handler", department)

    def replicas(self, service: str) -> list[str]:
        """The addresses of all its processes."""
        return [self.system.urls[service], *self.system.further_urls.get(service, ())]

    def http(self, service: str, role: str | Sequence[str] | None = "front-end", **claims: Any) -> httpx.Client:
        """A bare client that repeats nothing and hides nothing. claims: what else the token's minting is told."""
        subject = f"{role}-{claims.get('department') or 'one'}"  # as api() names them: a key is its caller's
        headers = {"authorization": f"Bearer {self.system.issuer.mint(role, subject, **claims)}"} if role is not None else {}
        return client(self.system.urls[service], headers)

    def page(self, service: str, path: str) -> httpx.Response:
        """What needs no token."""
        with self.http(service, None) as http:
            return http.get(path)

    def register(self, text: str = SLOW, **fields: Any) -> str:
        """A front end takes down a complaint; its id."""
        body = {"channel": "hotline", "text": text, **fields}
        complaint: str = ok(self.front_end.post("intake", "/complaints", body), 201)["id"]
        return complaint

    def view(self, complaint: str, role: str = "agent") -> dict[str, Any]:
        return ok(self.api(role).get("intake", f"/complaints/{complaint}"))

    def owed(self) -> dict[str, dict[str, Any]]:
        """Every open complaint, by id, with who has its next step."""
        return {each["id"]: each for each in self.api("ops").all("intake", "/pending")}

    def reaches(self, complaint: str, stage: str, cycle: int = 1, owner: str | None = None) -> dict[str, Any]:
        """Wait until it stands there. Unless it is closed, somebody named has its next step."""

        def stands() -> dict[str, Any] | None:
            seen = self.view(complaint)
            return seen if (seen["stage"], seen["cycle"]) == (stage, cycle) else None

        seen = eventually(stands, f"{complaint} is {stage} in cycle {cycle}")
        owed = self.owed().get(complaint)
        if stage == "closed":
            assert owed is None
        else:
            assert owed is not None, f"nobody has the next step of {complaint}, which is {stage}"
            assert owed["owner"], owed
            assert owed["step"], owed
            if owner is not None:  # a department has it once handling has opened its case
                eventually(lambda: self.owed().get(complaint, {}).get("owner") == owner, f"{owner} has the next step, and not {owed}")
        return seen

    def case(self, complaint: str, department: str, urgency: int | None = None, cycle: int = 1) -> dict[str, Any]:
        """The open case, once it is in the department's list."""

        def listed() -> dict[str, Any] | None:
            cases = self.handler(department).all("handling", "/cases")
            return next((each for each in cases if each["complaint"] == complaint and each["cycle"] == cycle), None)

        found = eventually(listed, f"{department} has a case of {complaint} in cycle {cycle}")
        assert urgency is None or found["urgency"] == urgency, found
        return found

    def step(self, complaint: str, department: str, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The department takes one step."""
        return ok(self.handler(department).post("handling", f"/cases/{complaint}/{name}", body))

    def work(self, complaint: str, department: str, end: str = "resolve", cycle: int = 1) -> None:
        """The department takes the case from its list to its outcome."""
        self.case(complaint, department, cycle=cycle)
        self.step(complaint, department, "accept")
        self.step(complaint, department, "contact", CONTACT)
        self.step(complaint, department, end, RESOLVE if end == "resolve" else REJECT)

    def visit(self, complaint: str, cycle: int = 1, **said: Any) -> dict[str, Any]:
        """An agent calls the customer, once the visit is in the list."""

        def listed() -> bool:
            visits = self.agent.all("callback", "/visits")
            return any((each["complaint"], each["cycle"]) == (complaint, cycle) for each in visits)

        eventually(listed, f"a visit of {complaint} is due in cycle {cycle}")
        return ok(self.agent.post("callback", f"/visits/{complaint}/attempts", said))

    # -- what is on disk and on the log

    def sql(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        """In the service's database, with its live state in reach."""

        return self._databases.fetch(service, statement, *values)

    def events(self, service: str, name: str = "%") -> list[str]:
        """The subjects of this service's events of one type (`deadline-breached`), in the journal's order."""
        rows = self.sql(
            service, "SELECT stream FROM public.events WHERE type LIKE $1 ORDER BY global_position", f"redress.{service}.{name}.v%"
        )
        return [row["stream"] for row in rows]

    def journals(self) -> dict[str, int]:
        """How many events each service has written."""
        return {service: self.sql(service, "SELECT count(*) FROM public.events")[0][0] for service in SERVICES}

    def log(self) -> list[Envelope]:
        """Every event on the lifecycle and the public topic, each once."""

        async def read() -> list[Envelope]:
            found = [each async for each in events(of_stack(self.stack), None, from_start=True, follow=False)]
            return list({each.id + each.type: each for each in found}.values())

        return run(read())

    def records(self, topics: Sequence[str] = (LIFECYCLE, CLOSED, KEYS)) -> list[ConsumerRecord]:
        """Every record as it lies on the topics, from the first to the end as of now."""

        async def read() -> list[ConsumerRecord]:
            consumer = KafkaClients.of(self.stack.kafka).consumer(enable_auto_commit=False, auto_offset_reset="earliest")
            found: list[ConsumerRecord] = []
            try:
                ends = await self._ends(consumer, topics)
                consumer.assign(list(ends))
                await consumer.seek_to_beginning(*ends)
                left = {place for place, end in ends.items() if end > 0}
                while left:
                    for place, records in (await consumer.getmany(timeout_ms=500)).items():
                        found += [record for record in records if record.offset < ends[place]]
                        if records[-1].offset + 1 >= ends[place]:
                            left.discard(place)
            finally:
                await consumer.stop()
            return found

        return run(read())

    def public_records(self, complaint: str) -> list[dict[str, Any]]:
        """What BI reads of one complaint: its records on the public topic, each with the key that it must have."""
        found = []
        for record in self.records((CLOSED,)):
            data: dict[str, Any] = orjson.loads(record.value)["data"]
            if data["complaint"] == complaint:
                assert record.key == f"closed/{complaint}".encode()
                found.append(data)
        return found

    async def _ends(self, consumer: Consumer, topics: Sequence[str]) -> dict[TopicPartition, int]:
        await consumer.start()
        places = [TopicPartition(topic, n) for topic in topics for n in range(1 if topic == KEYS else self.stack.partitions)]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends

    # -- proof

    def idle(self, within: float = 60.0) -> None:
        """Wait until every journal is on the log, the log is read by all, nothing is due or held back, and nobody has written since."""
        before: dict[str, int] = {}

        def still() -> bool:
            nonlocal before
            now = self.journals()
            same, before = now == before, now
            return not self._unfinished() and same and now == self.journals()

        eventually(still, f"the system is quiet; unfinished: {self._unfinished()}", within)

    def _unfinished(self) -> list[str]:
        """What is on its way, by service."""

        async def ends() -> dict[TopicPartition, int]:
            consumer = KafkaClients.of(self.stack.kafka).consumer(enable_auto_commit=False)
            try:
                return await self._ends(consumer, (LIFECYCLE, KEYS))
            finally:
                await consumer.stop()

        behind = run(ends())
        found = []
        for service in SERVICES:
            if backlog := self.sql(service, BACKLOG)[0][0]:
                found.append(f"{service} has yet to send {backlog} events")
            rows = self.sql(service, "SELECT topic, partition, next FROM consumer_offsets")
            read = {TopicPartition(row["topic"], row["partition"]): row["next"] for row in rows}
            if lag := sum(end - read.get(place, 0) for place, end in behind.items()):
                found.append(f"{service} has yet to read {lag} records")
            found += [
                f"{service} has yet to decide {automation.name} of {due} rows"
                for automation in self._automations(service)
                if (due := self.sql(service, next_due_sql(automation), micros(datetime.now(UTC) - MARGIN))[0]["due"])
            ]
            for url in self.replicas(service):
                with client(url, {}) as http:
                    page = http.get("/metrics").text
                found += [
                    f"{service}: {metric.name} {[sample.value for sample in metric.samples]}"
                    for metric in text_string_to_metric_families(page)
                    if metric.name in HELD_BACK and any(sample.value for sample in metric.samples)
                ]
        return found

    def verified(self, services: Sequence[str] = SERVICES) -> dict[str, VerifyReport]:
        """Quiet, then each service's log, journal and state compared: nothing lost, doubled, parked or different, and no process died."""
        self.idle()
        reports = {service: self._verify(service) for service in services}
        assert self.wrong(reports) == []
        return reports

    def wrong(self, reports: Mapping[str, VerifyReport] | None = None) -> list[str]:
        """What the comparison of each service's log, journal and state, made now if none is given, has against it; and who died."""
        found = [f"{name} ended by itself" for name in self.system.dead()]
        for service, report in (reports or {service: self._verify(service) for service in SERVICES}).items():
            found += [f"{service} differs: {each}" for each in report.differences]
            held = (report.lost, report.doubled, report.parked, report.dead_letters, report.waiting)
            if any(held):
                found.append(f"{service}: lost, doubled, parked, set aside, waiting: {held}")
        return found

    def _verify(self, service: str) -> VerifyReport:
        definition = self._service(service).verified(self.stack.partitions, self.stack.mac_keys())
        return run(verify(definition, self.system.databases[service].app_dsn, self.stack.kafka))

    def _automations(self, service: str) -> Sequence[Automation]:
        definition = self._service(service)
        return definition.automations(definition.policies({}))

    def _service(self, service: str) -> Service:
        definition: Service = importlib.import_module(f"{package(service)}.main").service
        return definition

    def registered_once(self, complaints: Sequence[str]) -> None:
        """Each of these has one registration in the journal and one on the log."""
        assert self.not_once(complaints, self.log()) == []

    def not_once(self, complaints: Sequence[str], log: Sequence[Envelope]) -> list[str]:
        """Which of these, or of all others, are registered otherwise. log: as log() gives it."""
        on_log = Counter(each.subject for each in log if each.type.startswith("redress.intake.complaint-registered."))
        in_journal = Counter(self.events("intake", "complaint-registered"))
        return [
            f"{each} has {in_journal[each]} registrations in the journal and {on_log[each]} on the log"
            for each in sorted({*on_log, *in_journal, *(f"complaint/{complaint}" for complaint in complaints)})
            if (in_journal[each], on_log[each]) != (1, 1)
        ]


def client(url: str, headers: Mapping[str, str], timeout: float = 30) -> httpx.Client:
    """verify: there is nothing to verify, and reading the certificates takes 60 ms."""
    return httpx.Client(base_url=url, headers=headers, timeout=timeout, trust_env=False, verify=False)


def fresh_key() -> str:
    return uuid.uuid4().hex
