"""The log loses its end, its start, or all of it, while people work; after the cure of docs/restore.md all services are what they were.

And the master key is lost: then the words are, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from faults import lose_log
from live import BACKLOG, CONTACT, SLOW, Live, eventually, fresh_key, ok, problem
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_handling.domain.aggregate import AGGREGATE as CASE
from redress_intake.domain.aggregate import AGGREGATE as COMPLAINT
from redress_local.kafka import Kafka
from redress_local.places import SERVICES
from redress_local.processes import run
from redress_local.system import System
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store.states import Codec

TECHNICAL = "technical_support"
States = dict[str, dict[str, tuple[str, str]]]


@pytest.fixture(scope="module")
def lossy(system: Callable[..., System]) -> Iterator[Live]:
    with closing(Live(system(settle_seconds=1.0))) as made:
        yield made


@pytest.fixture
def broker(lossy: Live) -> Kafka:
    server = lossy.system.servers.kafka_server
    if server is None:
        pytest.skip("only a local Kafka can lose its data")
    return server


def redress(live: Live, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--folder", live.stack.folder])


def said(result: Result) -> str:
    """As one line, however it was wrapped for a terminal."""
    return " ".join(result.output.split())


def done(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def states(live: Live) -> States:
    """What each service knows of each complaint, as it stands in its database."""
    ask = "SELECT subject, observed::text, own::text FROM state"
    return {service: {row["subject"]: (row["observed"], row["own"]) for row in live.sql(service, ask)} for service in SERVICES}


def lives(live: Live) -> list[str]:
    """Complaints that stand where services have decided upon each other: open, accepted, passed on, in their second cycle, closed."""
    fresh, accepted, passed, again, closed = (live.register(SLOW) for _ in range(5))
    live.case(fresh, TECHNICAL)
    live.case(accepted, TECHNICAL)
    live.step(accepted, TECHNICAL, "accept")
    live.case(passed, TECHNICAL)
    live.step(passed, TECHNICAL, "transfer", {"department": "consulting", "reason": "a question of the contract"})
    live.step(passed, "consulting", "accept")
    live.work(again, TECHNICAL)
    live.visit(again, reached=True, solved=False, satisfaction=1)
    live.case(again, TECHNICAL, cycle=2)
    live.step(again, TECHNICAL, "accept")
    live.work(closed, TECHNICAL)
    live.visit(closed, reached=True, solved=True, satisfaction=5)
    live.reaches(closed, "closed")
    return [fresh, accepted, passed, again, closed]


def cured(live: Live, before: States, waiting: str) -> None:
    """Every service is made anew; then all know what they knew, and go on with it."""
    for service in SERVICES:
        done(redress(live, "rebuild", service))
    live.case(waiting, TECHNICAL)  # it was registered while the log was not whole
    live.verified()
    after = states(live)
    for service in SERVICES:
        assert {subject: after[service].get(subject) for subject in before[service]} == before[service], service
    live.work(waiting, TECHNICAL)
    live.visit(waiting, reached=True, solved=True, satisfaction=5)
    live.reaches(waiting, "closed")
    live.verified()


def same_view(live: Live, complaints: list[str]) -> None:
    """Who has a case, and who took it on, is for intake what it is for handling."""
    here, there = Codec(COMPLAINT), Codec(CASE)
    ask = "SELECT observed::text, own::text FROM state WHERE subject = $1"
    for complaint in complaints:
        (known,) = live.sql("intake", ask, f"complaint/{complaint}")
        (done,) = live.sql("handling", ask, f"complaint/{complaint}")
        observed = here.load_observed(known["observed"])
        case = CASE.state(observed=there.load_observed(done["observed"]), own=there.load_own(done["own"]))
        assert (observed.department, observed.handler) == (case.department, case.handler), complaint


def test_the_logs_end_is_lost_and_people_go_on_meanwhile(lossy: Live, broker: Kafka):
    begun = lossy.register(SLOW)
    lossy.case(begun, TECHNICAL)
    lossy.idle()
    saved = broker.save()
    complaints = lives(lossy)
    lossy.step(begun, TECHNICAL, "accept")
    lossy.idle()
    same_view(lossy, complaints)
    before = states(lossy)
    broker.put_back(saved)
    waiting = lossy.register(SLOW)
    lossy.step(begun, TECHNICAL, "contact", CONTACT)
    eventually(
        lambda: not lossy.sql("handling", BACKLOG)[0][0], "what was decided meanwhile is behind what is left, and not behind its cause"
    )
    for known in before.values():
        known.pop(f"complaint/{begun}", None)
    refused = redress(lossy, "restore-log")
    assert refused.exit_code == 1
    assert f"--recreate {LIFECYCLE}" in said(refused)
    done(redress(lossy, "restore-log", "--recreate", LIFECYCLE))
    cured(lossy, before, waiting)
    same_view(lossy, complaints)


def test_the_logs_start_is_lost(lossy: Live, broker: Kafka):
    complaints = lives(lossy)
    lossy.idle()
    before = states(lossy)
    records = lossy.records((LIFECYCLE,))
    ends = {record.partition: record.offset + 1 for record in records}

    async def delete() -> None:
        admin = KafkaClients.of(broker.address).admin()
        await admin.start()
        await admin.delete_records({TopicPartition(LIFECYCLE, n): RecordsToDelete(end) for n, end in ends.items()})
        await admin.close()

    run(delete())
    waiting = lossy.register(SLOW)
    refused = redress(lossy, "restore-log")
    assert refused.exit_code == 1
    assert "its start has gone" in said(refused)
    written = json.loads(redress(lossy, "restore-log", "--recreate", LIFECYCLE, "--json").stdout)
    assert written["recreated"] == [LIFECYCLE]
    assert sum(written["written"].values()) >= len(records)
    cured(lossy, before, waiting)
    same_view(lossy, complaints)


def test_the_whole_log_is_lost_and_another_cluster_takes_its_place(lossy: Live, broker: Kafka):
    complaints = lives(lossy)
    lossy.idle()
    before = states(lossy)
    keys = len({record.key for record in lossy.records((KEYS,))})
    lose_log(broker)
    waiting = lossy.register(SLOW)
    refused = redress(lossy, "restore-log")
    assert refused.exit_code == 1
    assert f"There is no topic {LIFECYCLE}" in said(refused)
    refused = redress(lossy, "adopt", "callback")
    assert refused.exit_code == 1
    assert "was shipped to the Kafka cluster" in said(refused)
    assert "the journal lacked nothing" in done(redress(lossy, "adopt", "callback", "--log-lost"))
    done(redress(lossy, "restore-log", *(word for topic in (LIFECYCLE, CLOSED, KEYS) for word in ("--recreate", topic))))
    assert len({record.key for record in lossy.records((KEYS,))}) == keys + 1
    cured(lossy, before, waiting)
    same_view(lossy, complaints)


def with_master_key(live: Live, key: bytes) -> None:
    """All services, stopped and started again."""
    for service in SERVICES:
        live.system.stop_service(service)
    live.system.issuer.master_key.write_bytes(key)
    for service in SERVICES:
        live.system.start_service(service, wait=False)
    live.system.wait_ready()


def test_without_the_master_key_old_complaints_go_their_way_without_words(lossy: Live):
    key, body = fresh_key(), {"channel": "hotline", "text": SLOW}
    old = ok(lossy.front_end.post("intake", "/complaints", body, key=key), 201)["id"]
    lossy.case(old, TECHNICAL)
    lossy.idle()
    kept = lossy.system.issuer.master_key.read_bytes()
    with_master_key(lossy, bytes(32))
    try:
        problem(lossy.front_end.post("intake", "/complaints", body, key=key), 422, "idempotency-key-reused")
        with lossy.http("handling", "handler", department=TECHNICAL) as handler:
            ok(handler.post(f"/cases/{old}/accept", headers={"idempotency-key": fresh_key()}))
            problem(handler.post(f"/cases/{old}/contact", json=CONTACT, headers={"idempotency-key": fresh_key()}), 503, "key-missing")
        with lossy.http("intake", "agent") as agent:
            url = f"/complaints/{old}/withdrawal"
            problem(agent.post(url, json={"reason": "Paid back."}, headers={"idempotency-key": fresh_key()}), 503, "key-missing")
            ok(agent.post(url, json={}, headers={"idempotency-key": fresh_key()}))
        eventually(lambda: f"complaint/{old}" in lossy.events("callback", "complaint-closed"), "it is closed")
        lossy.idle()
    finally:
        with_master_key(lossy, kept)
    assert lossy.view(old)["text"] == SLOW
    lossy.verified()
