"""With a user for each service that may do what docs/kafka-rights.md says, a complaint comes to its end; who lacks a right says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError, for_code
from live import SLOW, Live, eventually, ok
from restricted import RestrictedSystem, allow, forbid

from redress_events.vocabulary import CLOSED, KEYS, LIFECYCLE
from redress_local.places import SERVICES
from redress_local.processes import run
from redress_local.rights import Right, user
from redress_spine.messaging.kafka_clients import Consumer

# Kafka is as production wants it; PostgreSQL is built without TLS, tokens are the development issuer's, and there is one broker.
PRODUCTION = {
    "REDRESS_PROFILE": "production",
    "REDRESS_ACCEPT": "unverified-postgresql,development-issuer,few-replicas",
    "REDRESS_MIN_INSYNC_REPLICAS": "1",
}
SATISFIED: dict[str, Any] = {"reached": True, "solved": True, "satisfaction": 5}


@pytest.fixture(scope="module")
def system() -> Iterator[RestrictedSystem]:
    folder = Path(tempfile.mkdtemp(prefix="redress-test-"))  # not pytest's own: PostgreSQL, under another user, must pass through it
    try:
        started = RestrictedSystem(folder, settle_seconds=1.0, environment=PRODUCTION)
        with started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def restricted(system: RestrictedSystem) -> Iterator[Live]:
    with closing(Live(system)) as live:
        yield live


def health(live: Live, service: str) -> dict[str, Any]:
    """What it says of itself; how fast the servers answer it is another thing."""
    found: dict[str, Any] = live.page(service, "/health/ready").json()
    return {name: said for name, said in found.items() if name != "servers"}


def journey(live: Live) -> str:
    """From the front door to its end, through every service."""
    complaint = live.register(SLOW, customer="王晓梅", phone="13800000001")
    live.work(complaint, "technical_support")
    live.visit(complaint, **SATISFIED)
    live.reaches(complaint, "closed")
    return complaint


def test_the_whole_journey_of_a_complaint_needs_no_right_beyond_these(restricted: Live, system: RestrictedSystem):
    complaint = journey(restricted)
    clocks = ok(restricted.agent.get("sla-monitor", f"/complaints/{complaint}/clocks"))["clocks"]
    assert all(each["state"] == "met" for each in clocks)
    eventually(lambda: [each for each in restricted.records((CLOSED,)) if complaint.encode() in each.key], "its end is published")
    restricted.idle()
    assert [health(restricted, service) for service in SERVICES] == [{"status": "ready"}] * len(SERVICES)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (Right("topic", LIFECYCLE, ("Write",)), f"Kafka does not let the user redress-triage Write topic {LIFECYCLE}."),
        (Right("topic", LIFECYCLE, ("Read",)), f"Kafka does not let the user redress-triage Read topic {LIFECYCLE}."),
        (Right("topic", KEYS, ("Read", "DescribeConfigs")), f"let the user redress-triage Read and DescribeConfigs topic {KEYS}."),
        (Right("topic", CLOSED, ("Describe", "DescribeConfigs")), f"let the user redress-triage do all that it must with topic {CLOSED}."),
        (Right("group", "redress-triage", ("Read",)), "let the user redress-triage read as a member of group redress-triage."),
    ],
    ids=lambda each: f"{each.kind}-{each.name}" if isinstance(each, Right) else "",
)
def test_a_service_that_lacks_a_right_says_so_and_goes_on_when_it_has_it(
    restricted: Live, system: RestrictedSystem, right: Right, said: str
):
    kafka, lacking = system.servers.kafka, [(user("triage"), [right])]
    system.stop_service("triage")
    run(forbid(kafka, lacking))
    try:
        system.start_service("triage", wait=False)
        child = system.children["triage"]

        def told() -> bool:
            try:
                answer = restricted.page("triage", "/health/ready")
            except httpx.TransportError:  # it does not listen yet
                return False
            found = answer.json()
            return answer.status_code == 503 and said in "".join(found["reasons"]) and said in "".join(found.get("alarms", []))

        def logged() -> bool:
            return any(said in line for line in child.output().splitlines() if '"error"' in line)

        eventually(told, f"readiness says: {said}", 60)
        eventually(logged, f"the log says: {said}", 60)
    finally:
        run(allow(kafka, lacking))
    eventually(lambda: health(restricted, "triage") == {"status": "ready"}, "it goes on", 90)
    journey(restricted)


def test_a_right_that_is_taken_away_is_an_alarm_and_the_door_stays_open(restricted: Live, system: RestrictedSystem):
    lacking = [(user("handling"), [Right("topic", LIFECYCLE, ("Write",))])]
    complaint = restricted.register(SLOW)
    restricted.case(complaint, "technical_support")
    run(forbid(system.servers.kafka, lacking))
    try:
        restricted.step(complaint, "technical_support", "accept")

        def told() -> bool:
            found = health(restricted, "handling")
            return found["status"] == "ready" and "does not let the user redress-handling" in "".join(found.get("alarms", []))

        eventually(told, "an alarm says that nothing is written", 90)
    finally:
        run(allow(system.servers.kafka, lacking))
    restricted.reaches(complaint, "in-handling")
    eventually(lambda: health(restricted, "handling") == {"status": "ready"}, "the alarm is over", 90)


def test_a_service_may_neither_make_keys_nor_read_as_another_nor_change_topics(system: RestrictedSystem):
    async def tried() -> None:
        clients = system.kafka_as("triage")
        producer = clients.producer()
        await producer.start()
        try:
            for topic in (KEYS, CLOSED):
                with pytest.raises(TopicAuthorizationFailedError):
                    await producer.send_and_wait(topic, key=b"complaint/1", value=None, partition=0)
        finally:
            await producer.stop()
        admin = clients.admin()
        await admin.start()
        try:
            for answer in (await admin.delete_topics([LIFECYCLE])).topic_error_codes:
                assert for_code(answer[1]) is TopicAuthorizationFailedError
            (made,) = (await admin.create_topics([NewTopic("mine", 1, 1)])).topic_errors
            assert for_code(made[1]) in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError)
        finally:
            await admin.close()
        consumer = clients.consumer(LIFECYCLE, group_id="redress-handling")
        try:
            with pytest.raises(GroupAuthorizationFailedError):
                await _first(consumer)
        finally:
            await consumer.stop()

    run(tried())


async def _first(consumer: Consumer) -> None:
    await consumer.start()
    await consumer.getone()


def test_the_operators_tools_read_with_a_user_that_writes_nothing(restricted: Live, system: RestrictedSystem):
    async def read() -> None:
        tools = system.kafka_as("tools")
        consumer = tools.consumer(enable_auto_commit=False, auto_offset_reset="earliest")
        try:
            ends = await restricted._ends(consumer, (LIFECYCLE, CLOSED, KEYS))
            assert sum(ends.values()) > 0
        finally:
            await consumer.stop()
        producer = tools.producer()
        await producer.start()
        try:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(LIFECYCLE, b"{}")
        finally:
            await producer.stop()

    run(read())


def test_an_operators_command_works_with_the_tools_user_in_a_services_environment(restricted: Live, system: RestrictedSystem):
    """As the Job of the Helm chart runs it; callback's own user is refused its public topic, which it writes and does not read."""
    journey(restricted)
    restricted.idle()
    tools = {"REDRESS_KAFKA_USERNAME": user("tools"), "REDRESS_KAFKA_PASSWORD_FILE": str(system.folder / "keys/kafka-tools")}

    def redress(*words: str, told: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | system.service_environment("callback") | {"SERVICE": "callback"} | told
        return subprocess.run(
            [sys.executable, "-m", "redress_cli.main", *words], env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    verified = redress("verify", told=tools)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    tail = redress("tail", "--from-start", "--limit", "1", told=tools)
    assert tail.returncode == 0 and tail.stdout, tail.stdout + tail.stderr
    assert redress("verify", told={}).returncode != 0
