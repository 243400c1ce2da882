"""`redress kafka` runs Kafka's own tools on the Kafka that a context tells, and what records hold steers no terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import LIFECYCLE
from redress_local.prepare import prepare_topics
from redress_local.processes import run
from redress_spine.messaging.kafka_clients import KafkaClients


@pytest.fixture
def context(kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("REDRESS_CONTEXT", "REDRESS_STACK", "SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    run(prepare_topics(kafka_address, 12, "local"))
    assert CliRunner().invoke(app, ["context", "add", "here", "--kafka", kafka_address]).exit_code == 0
    return kafka_address


def kafka(*words: str) -> Result:
    return CliRunner().invoke(app, ["kafka", *words])


def test_topics_are_shown_and_a_record_is_printed_without_steering_the_terminal(context: str):
    shown = kafka("topics", "--describe", "--topic", LIFECYCLE)
    assert shown.exit_code == 0 and "PartitionCount: 12" in shown.output

    async def write() -> int:
        async with KafkaClients.of(context).producer() as producer:
            return int((await producer.send_and_wait(LIFECYCLE, b"\x1b[2Jno event", partition=3)).offset)

    offset = run(write())
    read = kafka("console-consumer", "--topic", LIFECYCLE, "--partition", "3", "--offset", str(offset), "--max-messages", "1")
    assert "\\u001b[2Jno event" in read.output and "\x1b" not in read.output
    assert kafka("topics", "--describe", "--topic", "nowhere").exit_code == 1


def test_what_there_is_none_of_is_refused_in_a_sentence(context: str):
    assert "There is no tool 'format'. Tools: topics," in " ".join(kafka("format").output.split())
    words = ["context", "add", "secured", "--kafka", "one:9093", "--kafka-set", "security=SSL"]
    assert CliRunner().invoke(app, words).exit_code == 0
    refused = kafka("topics", "--context", "secured", "--list")
    assert refused.exit_code == 1 and "name it by --command-config" in " ".join(refused.output.split())
