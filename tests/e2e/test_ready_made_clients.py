"""Programs that nobody here wrote, as they come, read what the running system publishes: its closed complaints by kcat, Kafka's own tools,
confluent-kafka, the cloudevents SDK and DuckDB; its AsyncAPI documents by their parser; its metrics by Prometheus' own.

`make clients` installs what a registry has. kcat and promtool are Debian packages: without them their test says so.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import outside
import pytest
from live import SLOW, Live, eventually, fresh_key, ok
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from redress_cli.main import app
from redress_events.vocabulary import CLOSED
from redress_local.places import KAFKA_LIBS, ROOT, SERVICES

RECIPES = ROOT / "docs" / "analytics-recipes.md"
PAGES = (ROOT / "docs" / "api.md", ROOT / "docs" / "consume-closed-complaints.md")
NAMED = {
    *("openapi-python-client", "openapi-typescript", "@hey-api/openapi-ts", "@redocly/cli", "schemathesis"),
    *("kafka-tools", "confluent-kafka", "cloudevents", "duckdb", "@asyncapi/parser"),
}
TOOLS = shutil.which("java") and any(KAFKA_LIBS.glob("kafka-tools-[0-9]*.jar"))
KCAT = shutil.which("kcat")
PROMTOOL = shutil.which("promtool")
COUNTED = re.compile(rf"^\S+ +{re.escape(CLOSED)} +\d+ +\d+ +(?P<end>\d+) +(?P<lag>\d+) ", re.MULTILINE)


@pytest.fixture(scope="module")
def closed(live: Live) -> str:
    """A complaint that came back: 2 the first time, 5 the second; and there is another. Nothing is on its way any more."""
    other = live.register(SLOW)
    ok(live.front_end.post("intake", f"/complaints/{other}/withdrawal", {"reason": "It works again."}))
    complaint = live.register(SLOW)
    live.work(complaint, "technical_support")
    live.visit(complaint, reached=True, solved=False, satisfaction=2)
    live.work(complaint, "technical_support", cycle=2)
    live.visit(complaint, cycle=2, reached=True, solved=True, satisfaction=5)
    live.reaches(complaint, "closed", cycle=2)
    eventually(lambda: live.public_records(other) and live.public_records(complaint), "both ends are published")
    live.idle()
    return complaint


def is_its_record(key: str, value: str, complaint: str) -> bool:
    """Of the complaint; and it says what became of it."""
    if key != f"closed/{complaint}":
        return False
    data: Mapping[str, Any] = json.loads(value)["data"]
    assert (data["complaint"], data["cycles"], data["first_satisfaction"], data["satisfaction"]) == (complaint, 2, 2, 5)
    return True


@pytest.mark.skipif(KCAT is None, reason="there is no kcat on this machine (Debian has a package of that name)")
def test_kcat_reads_closed_complaints_as_json_by_their_key(live: Live, closed: str, tmp_path: Path):
    """Not by its -J: it writes the bytes of `hash` and `prevhash` into that JSON as they are, and it is none any more."""
    options = ("-C", "-t", CLOSED, "-o", "beginning", "-e", "-q", "-f", r"%k\t%s\n", "-X", "isolation.level=read_committed")
    lines = [line.split("\t", 1) for line in outside.run(tmp_path, "kcat", "-b", live.stack.kafka, *options).splitlines()]
    assert len(lines) == len(live.records((CLOSED,)))
    assert any(is_its_record(key, value, closed) for key, value in lines)


def tool(live: Live, name: str, *words: str) -> str:
    """What one of Kafka's own tools prints."""
    done = CliRunner().invoke(app, ["kafka", "--folder", live.stack.folder, name, *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.skipif(not TOOLS, reason="there is no Java, or no jars of Kafka: `make setup` fetches them where Maven is")
def test_kafkas_own_tools_read_closed_complaints_and_say_how_far_a_group_is(live: Live, closed: str):
    group, there = f"tools-{fresh_key()}", len(live.records((CLOSED,)))
    options = ("--topic", CLOSED, "--group", group, "--from-beginning", "--isolation-level", "read_committed")
    formatted = ("--max-messages", str(there), "--formatter-property", "print.key=true", "--formatter-property", "key.separator= ")
    lines = [line.split(" ", 1) for line in tool(live, "console-consumer", *options, *formatted).splitlines() if "{" in line]
    assert any(is_its_record(key, value, closed) for key, value in lines)

    told = tool(live, "consumer-groups", "--describe", "--group", group)
    counted = list(COUNTED.finditer(told))
    assert sum(int(each["end"]) for each in counted) == there, told
    assert {each["lag"] for each in counted} == {"0"}, told
    assert {f"redress-{service}" for service in SERVICES} <= set(tool(live, "consumer-groups", "--list").split())


def test_confluent_kafka_cloudevents_and_duckdb_answer_what_became_of_a_complaint_that_came_back(live: Live, closed: str, tmp_path: Path):
    for package in ("confluent_kafka", "cloudevents", "duckdb"):
        outside.of_python(package)
    (sql,) = re.findall(r"## DuckDB\n.*?```sql\n(.*?)```", RECIPES.read_text("utf-8"), re.DOTALL)
    given = {
        "kafka": live.stack.kafka,
        "partitions": live.stack.partitions,
        "group": f"confluent-{fresh_key()}",
        "sql": [each for each in sql.split(";") if each.strip()],
        "within": outside.LONGEST / 4,
    }
    rows = json.loads(outside.run(tmp_path, outside.PYTHON / "python", outside.JOURNEYS / "closed.py", JOURNEY=json.dumps(given)))
    number = live.view(closed)["number"]
    found = [(each["cycle"], each["department"], each["satisfaction"]) for each in rows if each["number"] == number]
    assert found == [(1, "technical_support", 2), (2, "technical_support", 5)]


def test_the_pages_name_the_versions_that_are_pinned():
    pinned: dict[str, str] = {}
    for name in ("dev", "clients"):
        pinned |= dict(re.findall(r"^([a-z-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text("utf-8"), re.MULTILINE))
    pinned |= json.loads((ROOT / "requirements/npm/package.json").read_text("utf-8"))["dependencies"]
    jars = re.findall(r"<artifactId>(kafka-tools)</artifactId>\s*<version>(.*?)<", (ROOT / "deploy/local/pom.xml").read_text("utf-8"))
    pinned |= dict(jars)
    told = [found for page in PAGES for found in re.findall(r"^\| `([^`]+)` (\d\S*) \|", page.read_text("utf-8"), re.MULTILINE)]
    assert dict(told).keys() >= NAMED, "every client that is tried is named"
    assert [(name, version) for name, version in told if pinned.get(name) != version] == []


def test_the_parser_of_asyncapi_has_nothing_against_our_documents(tmp_path: Path):
    outside.of_npm(tmp_path, "@asyncapi/parser")
    shutil.copy(outside.JOURNEYS / "parse-asyncapi.mjs", tmp_path)
    documents = sorted((ROOT / "schemas/asyncapi").glob("*.yaml"))
    assert {each.stem for each in documents} == set(SERVICES)
    for document, line in zip(documents, outside.run(tmp_path, "node", "parse-asyncapi.mjs", *documents).splitlines(), strict=True):
        said = json.loads(line)
        assert (said["title"], said["against"]) == (f"Redress: {document.stem}", [])
        assert "DataKey" in said["messages"] or document.stem != "intake"
        assert said["messages"]


@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_parser_reads_every_metric(live: Live, service: str):
    answer = live.page(service, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    assert {"redress_parked_subjects", "redress_stuck_rows"} <= {each.name for each in families}
    assert all(each.documentation and each.type != "unknown" for each in families)


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool on this machine (it is in Debian's package prometheus)")
@pytest.mark.parametrize("service", SERVICES)
def test_promtool_has_nothing_against_a_metric(live: Live, service: str):
    page = live.page(service, "/metrics").text
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=outside.LONGEST, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
