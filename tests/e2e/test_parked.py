"""What a bad release or a stranger left behind is seen to with one command for all five services, and stays so through a rebuild."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from live import SLOW, Live, eventually, fresh_key, ok
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import LIFECYCLE
from redress_local.places import SERVICES
from redress_local.processes import run
from redress_local.system import System
from redress_spine.messaging.envelope import chain
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store import connections
from redress_spine.store.states import partition_of

MANY = 500  # several pages of the command
WHY = ("--why", "forged by a test client, ticket 4711")
STATES = "SELECT subject, parked, read::text, observed::text, own::text FROM state ORDER BY subject"


@pytest.fixture(scope="module")
def held(system: Callable[..., System]) -> Iterator[Live]:
    with closing(Live(system(settle_seconds=1.0))) as made:
        yield made


def redress(live: Live, *words: str, expect: int = 0) -> str:
    result: Result = CliRunner().invoke(app, [*words, "--folder", live.stack.folder])
    assert result.exit_code == expect, result.output
    return " ".join(result.output.split())


def parked(live: Live) -> dict[str, tuple[int, int]]:
    found = json.loads(redress(live, "parked", "--json"))
    return {service: (len(each["parked"]), len(each["dead_letters"])) for service, each in found.items()}


def everywhere(live: Live, waits: int, aside: int) -> Callable[[], bool]:
    return lambda: parked(live) == dict.fromkeys(SERVICES, (waits, aside))


def write(live: Live, *records: tuple[bytes, bytes]) -> None:
    """As intake would sign them: what nobody signed is set aside, whatever it is."""
    mac = live.stack.mac_keys()

    async def written() -> None:
        producer = KafkaClients.of(live.stack.kafka).producer()
        await producer.start()
        try:
            for key, value in records:
                signed = [mac.sign("intake", LIFECYCLE, key, value, None, chain(b"", value))]
                place = partition_of(key.decode(), live.stack.partitions)
                await producer.send_and_wait(LIFECYCLE, value, key, place, headers=signed)
        finally:
            await producer.stop()

    run(written())


def the_same_when_rebuilt(live: Live, *services: str) -> None:
    live.verified()
    for service in services:
        before = [tuple(row) for row in live.sql(service, STATES)]
        redress(live, "rebuild", service)
        assert [tuple(row) for row in live.sql(service, STATES)] == before
    live.verified()


def test_three_copies_of_one_record_in_five_services_go_with_one_command(held: Live):
    complaint = held.register(SLOW)
    held.idle()
    key = f"complaint/{complaint}".encode()
    bad = b'{"text": "\xe5\x93\x8e", "who": "a test client"}'
    write(held, *[(key, bad)] * 3)
    eventually(everywhere(held, 1, 0), "each service has parked it")
    shown = redress(held, "parked", "--show", complaint)
    assert r"\xe5\x93\x8e" in shown.replace("\\\\", "\\") and all(f"{service}: malformed" in shown for service in SERVICES)
    place = held.sql("triage", 'SELECT partition, "offset" FROM parked ORDER BY "offset"')[0]
    assert redress(held, "parked", "--show", f"{place['partition']}:{place['offset']}") == shown
    assert "needs --why" in redress(held, "redrive", complaint, "--all-services", "--skip", expect=1)
    assert "1 records are in the way: 5 malformed" in redress(held, "redrive", complaint, "--all-services", "--skip", *WHY, "--dry-run")
    assert everywhere(held, 1, 0)()
    done = redress(held, "redrive", complaint, "--all-services", "--skip", *WHY)
    assert all(f"{service}: 1 permanently skipped, 3 records settled." in done for service in SERVICES), done
    assert everywhere(held, 0, 0)()
    write(held, (key, bad))  # a copy that comes later
    held.idle()
    assert everywhere(held, 0, 0)()
    the_same_when_rebuilt(held, *SERVICES)


def test_what_was_set_aside_is_passed_over_in_all_services(held: Live):
    write(held, *[(b"order/1", b"one"), (b"order/1", b"one"), (b"order/2", b"two")])
    eventually(everywhere(held, 0, 3), "each service has set them aside")
    assert "0 records that were set aside would be taken in, 3 cannot be read" in redress(held, "redrive", "--all", "--dry-run")
    skip = ("redrive", "--set-aside", "--reason", "no-subject", "--all-services", "--skip", *WHY)
    assert "2 records are in the way: 15 no-subject" in redress(held, *skip, "--dry-run")
    assert "add --yes" in redress(held, *skip, expect=1)
    assert everywhere(held, 0, 3)()
    redress(held, *skip, "--yes")
    assert everywhere(held, 0, 0)()
    the_same_when_rebuilt(held, "handling")


def test_a_parked_subscription_is_seen_to_as_a_complaint_is(held: Live):
    """Only intake has subscriptions. The others pass over whatever is said of them."""
    with held.http("intake", "front-end") as client:
        made = ok(client.post("/subscriptions", json={"address": "http://127.0.0.1:9/"}, headers={"idempotency-key": fresh_key()}), 201)
    subscription = f"subscription/{made['id']}"
    held.idle()

    write(held, (subscription.encode(), b"{"))
    eventually(lambda: parked(held) == dict.fromkeys(SERVICES, (0, 0)) | {"intake": (1, 0)}, "intake has parked it, the others nothing")
    assert "intake: malformed" in redress(held, "parked", "--show", subscription)
    assert subscription in redress(held, "parked")
    still = redress(held, "redrive", "intake", subscription, expect=1)
    assert "intake: 1 subjects: 0 records settled, 1 stay parked (1 malformed)" in still
    skipped = redress(held, "redrive", subscription, "--all-services", "--skip", *WHY)
    assert "intake: 1 permanently skipped, 1 records settled." in skipped
    assert everywhere(held, 0, 0)()
    with held.http("intake", "front-end") as client:
        ok(client.get(f"/subscriptions/{made['id']}"))
    the_same_when_rebuilt(held, "intake")


def test_who_was_away_takes_the_decision_when_it_is_said_again(held: Live):
    complaint = held.register(SLOW)
    held.idle()
    write(held, (f"complaint/{complaint}".encode(), b"{"))
    eventually(everywhere(held, 1, 0), "each service has parked it")
    skip = ("redrive", complaint, "--all-services", "--skip", *WHY)
    held.system.stop_service("callback")
    try:
        told = redress(held, *skip, expect=1)
        assert "Not done: callback." in told and "triage: 1 permanently skipped" in told
    finally:
        held.system.start_service("callback")
    eventually(lambda: held.page("callback", "/health/ready").status_code == 200, "callback is back")
    assert "callback: 1 permanently skipped, 1 records settled." in redress(held, *skip)
    assert everywhere(held, 0, 0)()
    the_same_when_rebuilt(held, "callback")


def test_hundreds_of_complaints_that_a_bad_release_parked_are_redriven_by_one_command(held: Live):
    """The release: a column that refuses every complaint's state."""
    (live,) = held.sql("triage", "SELECT schema FROM public.live")
    owner(held, f"ALTER TABLE {live['schema']}.state ADD CONSTRAINT bad CHECK (observed = '{{}}') NOT VALID")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: held.register(f"{SLOW} {n}"), range(MANY)))

    def waits() -> bool:
        return parked(held)["triage"] == (MANY, 0)

    eventually(waits, "triage has parked them", 120)
    assert f"Of all {MANY}: {MANY} not-stored redress.intake.complaint-registered.v1" in redress(held, "parked")
    would = redress(held, "redrive", "--all", "--dry-run")
    found = re.search(rf"triage: {MANY} subjects: (\d+) records would be settled, 0 stay parked", would)
    assert found and int(found[1]) >= MANY, would  # with what other services said of them meanwhile
    assert waits()
    still = redress(held, "redrive", "--all", expect=1)
    assert f"{MANY} stay parked ({MANY} not-stored)" in still, still
    owner(held, f"ALTER TABLE {live['schema']}.state DROP CONSTRAINT bad")
    nobody = redress(held, "redrive", "--all-services", "--type", "redress.intake.complaint-chased.v1")
    assert "Nothing of this kind" in nobody
    done = redress(held, "redrive", "--all")
    assert f"triage: {MANY} subjects:" in done and "0 stay parked." in done, done
    assert everywhere(held, 0, 0)()
    held.idle(within=180)
    the_same_when_rebuilt(held, "triage")


def owner(live: Live, statement: str) -> None:
    async def execute() -> Any:
        connection = await connections.connect(live.system.databases["triage"].owner_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run(execute())
