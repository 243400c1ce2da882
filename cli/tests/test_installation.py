"""The commands against a running installation that a context tells: over HTTP, to its databases, and to a Kafka with TLS and a user."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from spine_certificates import Authority
from typer.testing import CliRunner, Result

from redress_cli.main import app
from redress_events.vocabulary import LIFECYCLE
from redress_local.kafka import Kafka, Secured
from redress_local.processes import run
from redress_local.pytest_plugin import MakeSystem
from redress_local.state import Stack
from redress_spine.messaging import topics
from redress_spine.messaging.envelope import GENESIS, Envelope, chain, dataschema, encode, event_id
from redress_spine.messaging.kafka_clients import KafkaClients
from redress_spine.messaging.mac import MacKeys, make_keys
from redress_spine.store.states import partition_of

SERVICES = ("intake", "triage")
PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REDRESS_CONTEXT", "REDRESS_STACK", "SERVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def redress(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def done(*words: str) -> str:
    result = redress(*words)
    assert result.exit_code == 0, (words, result.output)
    return " ".join(result.output.split())


def lines_of(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stderr.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def stack(system: MakeSystem) -> Stack:
    return system(services=SERVICES).stack()


@pytest.fixture
def context(stack: Stack, home: Path) -> Stack:
    """Told as an operator would: addresses, and files with the passwords and a token."""
    words = ["context", "add", "trial", "--kafka", stack.kafka, "--master-key-file", stack.issuer["master_key"]]
    words += ["--mac-keys-dir", stack.issuer["mac_keys"]]
    for service in SERVICES:
        words += ["--url", f"{service}={stack.urls[service]}"]
        for option, dsn in (("database", stack.databases[service]["app_dsn"]), ("owner", stack.databases[service]["owner_dsn"])):
            parts = urlsplit(dsn)
            secret = home / f"{service}-{option}"
            secret.write_text(f"{parts.password}\n")
            address = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")))
            words += [f"--{option}", f"{service}={address}", f"--{option}-password-file", f"{service}={secret}"]
    token = home / "token"
    token.write_text(stack.token_issuer().mint("ops", "somebody", ttl=3600) + "\n")
    done(*words, "--token-file", str(token))
    return stack


@pytest.fixture(scope="module")
def complaint(stack: Stack) -> dict[str, str]:
    token = stack.token_issuer().mint("front-end", "desk", ttl=3600)
    headers = {"authorization": f"Bearer {token}", "idempotency-key": uuid.uuid4().hex}
    body = {"channel": "web", "text": "The bill is wrong since May.", "customer": "Ada"}
    answer = httpx.post(f"{stack.urls['intake']}/complaints", json=body, headers=headers, timeout=60, trust_env=False)
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


def test_what_only_looks_works_by_a_context_alone(context: Stack, complaint: dict[str, str]):
    told = json.loads(redress("status", "--within", "60", "--json").stdout)
    assert [(each["server"], each["up"], each["unreached"]) for each in told["servers"]] == [("kafka", True, []), ("postgresql", True, [])]
    assert [(each["service"], each["ready"], each["cannot"]) for each in told["services"]] == [(service, True, []) for service in SERVICES]
    assert complaint["number"] in done("pending")
    assert "intake: nothing is parked or set aside." in done("parked")
    assert "Nothing was given up." in done("effects")
    assert "equal" in done("verify", "intake")
    first = json.loads(redress("tail", "--from-start", "--limit", "1", "--json", "--complaint", complaint["number"]).stdout)
    assert (first["service"], first["subject"]) == ("intake", f"complaint/{complaint['id']}")
    assert "complaint-registered" in done("timeline", complaint["number"])
    assert "complaint-registered" in done("timeline", complaint["number"], "--http")
    told = json.loads(redress("relay", "--json").stdout)
    assert [each["service"] for each in told] == list(SERVICES) and told[0]["position"] > 0


def test_without_a_kafka_a_service_reads_the_log_for_us(context: Stack, complaint: dict[str, str], home: Path):
    done("context", "add", "over-http", "--url", f"intake={context.urls['intake']}", "--token-file", str(home / "token"))
    words = ["timeline", complaint["number"], "--context", "over-http"]
    until = time.monotonic() + 120
    while "complaint-routed" not in (told := done(*words)):
        assert time.monotonic() < until, told
        time.sleep(0.2)
    assert "complaint-registered" in told and "Ada" not in told and "•••" in told
    over_http = [json.loads(line) for line in redress(*words, "--json").stdout.splitlines()]
    by_kafka = [json.loads(line) for line in redress("timeline", complaint["number"], "--json").stdout.splitlines()]
    heads = ("time", "service", "type", "subject", "version", "actor")
    assert [[each[name] for name in heads] for each in over_http] == [[each[name] for name in heads] for each in by_kafka]
    tailed = redress("tail", "--context", "over-http", "--from-start", "--limit", "1", "--json", "--complaint", complaint["id"])
    assert json.loads(tailed.stdout)["subject"] == f"complaint/{complaint['id']}" and "sealed:" not in tailed.stdout


def test_what_changes_something_asks_and_is_told(context: Stack, complaint: dict[str, str]):
    for words in (["send-keys", "intake"], ["rebuild", "triage"], ["adopt", "triage"]):
        unasked = redress(*words)
        assert unasked.exit_code == 1 and "(the context trial), and there is no terminal to ask at: add --yes" in " ".join(
            unasked.output.split()
        )
    rebuilt = redress("rebuild", "triage", "--yes")
    assert rebuilt.exit_code == 0, rebuilt.output
    began, ended = lines_of(rebuilt)
    assert (began["event"], began["command"], began["service"], began["installation"]) == (
        "operator-began",
        "rebuild",
        "triage",
        "the context trial",
    )
    assert (ended["event"], ended["outcome"], ended["who"]) == ("operator-ended", "done", began["who"])
    assert "sends its" in done("send-keys", "intake", "--yes")
    nothing = redress("redrive", "--all", "--yes")
    assert "Nothing of this kind" in nothing.output and lines_of(nothing)[-1]["outcome"] == "done"


def test_the_master_key_is_exchanged_while_the_services_run(context: Stack, complaint: dict[str, str]):
    alone = redress("keys", "rewrap", "triage", "--now", "--yes")
    assert alone.exit_code == 0 and ("so nothing was exchanged" in alone.output or "opens all" in alone.output), alone.output
    assert "is in" in done("keys", "new")
    before = json.loads(redress("keys", "status", "--json").stdout)
    assert [each["service"] for each in before] == list(SERVICES)
    ((old,),) = {tuple(each["keys"]) for each in before}
    number = int(old) + 1
    exchanged = redress("keys", "rewrap", "--now", "--yes")
    assert exchanged.exit_code == 0 and f"Master key {number} unwraps all keys. None of these services needs" in exchanged.output, (
        exchanged.output
    )
    began, ended = lines_of(exchanged)
    assert (began["command"], began["master"], ended["outcome"]) == ("keys rewrap", number, "done")
    assert sorted(began["services"]) == sorted(SERVICES) and began["services"][-1] == "intake", "who makes keys comes last"
    for each in json.loads(redress("keys", "status", "--json").stdout):
        assert (set(each["keys"]), each["current"], each["oldest"], each["unsent"]) == ({str(number)}, number, number, False), each
    assert "what is new" in done("keys", "status")
    verified = done("verify")
    assert verified.count("equal") == len(SERVICES)
    assert "0 of" in done("keys", "rewrap", "triage", "--now", "--yes"), "once more changes nothing"


def test_a_token_that_is_not_taken_is_said(context: Stack, home: Path):
    (home / "token").write_text(context.token_issuer().mint("ops", "somebody", ttl=-3600))
    refused = redress("pending")
    assert refused.exit_code == 1
    assert "intake does not take the token of the context trial:" in " ".join(refused.output.split())


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[Kafka, Path]]:
    with tempfile.TemporaryDirectory(prefix="redress-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        authority = Authority(folder)
        kafka = Kafka(folder / "kafka", secured=Secured(authority.issue("broker"), {"redress": PASSWORD}))
        kafka.start()
        yield kafka, authority.file
        kafka.stop()


def test_tail_and_timeline_reach_a_kafka_with_tls_and_a_user(secured: tuple[Kafka, Path], home: Path):
    kafka, authority = secured
    identity = str(uuid.uuid4())
    subject, type_ = f"complaint/{identity}", "redress.intake.complaint-withdrawn.v1"
    envelope = Envelope(
        id=event_id(subject, "intake", 1),
        source="intake",
        type=type_,
        subject=subject,
        time=datetime(2026, 2, 13, tzinfo=UTC),
        version=1,
        data={"reason": "\x1b]0;title\x07 and \u202eturned"},
        actor="agent:li",
        correlation="c",
        causation=None,
        traceparent=None,
        dataschema=dataschema(type_),
    )

    make_keys(home / "mac", ["intake"])
    key, value = subject.encode(), encode(envelope)
    signed = MacKeys.read(home / "mac").sign("intake", LIFECYCLE, key, value, GENESIS, chain(GENESIS, value))

    async def send() -> None:
        await topics.ensure(kafka.address, partitions=12)
        producer = KafkaClients.of(kafka.address).producer()
        await producer.start()
        await producer.send_and_wait(LIFECYCLE, value, key, partition_of(subject, 12), headers=[("prevhash", GENESIS), signed])
        await producer.stop()

    run(send())
    (home / "password").write_text(PASSWORD)
    settings = (
        "security=SASL_SSL",
        "sasl_mechanism=SCRAM-SHA-512",
        "username=redress",
        f"password_file={home}/password",
        f"ca_file={authority}",
    )
    words = ["--mac-keys-dir", str(home / "mac")] + [word for setting in settings for word in ("--kafka-set", setting)]
    done(
        "context",
        "add",
        "secured",
        "--url",
        "http://127.0.0.1:9/{service}",
        "--kafka",
        kafka.secured_address,
        "--mac-keys-dir",
        str(home / "mac"),
        *words,
    )
    done("context", "use", "secured")
    told = redress("timeline", identity).output
    assert "complaint-withdrawn" in told and "\\u001b]0;title\\u0007" in told and "\\u202eturned" in told
    assert not {"\x1b", "\x07", "\u202e"} & set(told)
    event = json.loads(redress("tail", "--from-start", "--limit", "1", "--json", "--type", "withdrawn").stdout)
    assert event["data"] == envelope.data, "for programs it means the same"
    (home / "password").write_text("wrong")
    refused = redress("timeline", identity)
    assert refused.exit_code != 0
