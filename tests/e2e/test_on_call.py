"""What somebody on call is told while a service stands still, a complaint is parked, or Kafka is away: who owes what, at once."""

from __future__ import annotations

import json
from typing import Any

from faults import paused
from live import SLOW, Live, eventually
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka
from redress_local.places import SERVICES
from redress_local.processes import run
from redress_spine.messaging.envelope import chain
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.store.states import partition_of

WITHIN = ("--within", "20")  # this machine may be slow; a service that stands still never answers


def redress(live: Live, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--folder", live.stack.folder])


def told(live: Live, *words: str) -> Any:
    return json.loads(redress(live, *words, "--json").stdout)


def test_a_frozen_service_owes_what_it_has_not_done_and_hides_nothing_of_the_others(shaken: Live):
    shaken.idle()
    with paused(shaken, "handling"):
        complaint = shaken.register(SLOW)
        shaken.reaches(complaint, "routed", owner="handling")
        shown = redress(shaken, "pending", "--json")
        owed = next(each for each in json.loads(shown.stdout) if each["id"] == complaint)
        assert (owed["owner"], owed["step"], owed["silent"]) == ("handling", "open the case", "handling")
        assert shown.exit_code == 1 and "handling does not answer" in " ".join(shown.stderr.split())
        parked = told(shaken, "parked")
        assert {service for service, each in parked.items() if "error" in each} == {"handling"} and list(parked) == list(SERVICES)
        status = told(shaken, "status", *WITHIN)
        assert [each["service"] for each in status["services"] if not each["answered"]] == ["handling"]
        assert {each["server"]: each["up"] for each in status["servers"]} == {"kafka": True, "postgresql": True}
        assert redress(shaken, "status", *WITHIN).exit_code == 1
        timeline = redress(shaken, "timeline", owed["number"])
        assert "complaint-routed" in timeline.stdout and "Whether it is parked in handling is not known." in " ".join(
            timeline.stderr.split()
        )
    shaken.reaches(complaint, "routed", owner="department:technical_support")


def test_a_parked_complaint_is_the_operators_wherever_it_is_looked_for(shaken: Live):
    complaint = shaken.register(SLOW)
    shaken.reaches(complaint, "routed", owner="department:technical_support")
    shaken.idle()
    key, value = f"complaint/{complaint}".encode(), b"no event"
    signed = [shaken.stack.mac_keys().sign("intake", LIFECYCLE, key, value, None, chain(b"", value))]

    async def write() -> None:
        async with KafkaClients.of(shaken.stack.kafka).producer() as producer:
            await producer.send_and_wait(LIFECYCLE, value, key, partition_of(key.decode(), shaken.stack.partitions), headers=signed)

    run(write())
    eventually(lambda: all(each["parked"] for each in told(shaken, "parked").values()), "each service has parked it")
    owed = next(each for each in told(shaken, "pending") if each["id"] == complaint)
    assert owed["owner"] == "operators"
    assert {each["service"]: each["reason"] for each in owed["parked"]} == dict.fromkeys(SERVICES, "malformed")
    timeline = redress(shaken, "timeline", owed["number"]).stdout
    assert all(f"Parked in {service} since" in timeline for service in SERVICES)
    skip = redress(shaken, "redrive", owed["number"], "--all-services", "--skip", "--why", "forged by a test client, ticket 4711")
    assert skip.exit_code == 0, skip.output
    assert all(each["parked"] == [] for each in told(shaken, "parked").values())


def test_without_kafka_each_service_says_what_it_cannot_do(shaken: Live, kafka: Kafka):
    kafka.kill()

    def seen() -> bool:
        return all(any("Kafka does not answer" in text for text in each["cannot"]) for each in told(shaken, "status", *WITHIN)["services"])

    eventually(seen, "all services have seen that Kafka is away")
    status = redress(shaken, "status", *WITHIN)
    assert status.exit_code == 1
    assert f"{', '.join(SERVICES)}: Kafka does not answer: commands are carried out and their events wait" in " ".join(
        status.stdout.split()
    )
    servers = {each["server"]: each for each in told(shaken, "status", *WITHIN)["servers"]}
    assert (servers["kafka"]["up"], servers["kafka"]["unreached"]) == (False, list(SERVICES))
    assert (servers["postgresql"]["up"], servers["postgresql"]["unreached"]) == (True, [])
    pending = redress(shaken, "pending")
    assert "intake does not reach Kafka: what other services did since then is not known." in " ".join(pending.stderr.split())
    kafka.start()
    eventually(lambda: redress(shaken, "status", *WITHIN).exit_code == 0, "all is well again")
