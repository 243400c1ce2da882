"""Alert rules and dashboards ask for metrics and labels that the services really have, and every alarm of the docs has a rule."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from pages import Page
from prometheus_client.parser import text_string_to_metric_families

from redress_chassis.operations.metrics import Metrics
from redress_local import dashboards
from redress_local.places import ROOT, SERVICES, package
from redress_spine.store.engine import Measures, ServerSeen

FOLDER = ROOT / "deploy/monitoring"
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))
TESTS = yaml.safe_load((FOLDER / "alerts_test.yml").read_text("utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
BOARDS: dict[str, dict[str, Any]] = {path.name: json.loads(path.read_text("utf-8")) for path in dashboards.FOLDER.glob("*.json")}
OF_THE_SCRAPE = {"job", "instance"}  # labels that Prometheus adds
FUNCTIONS = {
    "sum",
    "min",
    "max",
    "count",
    "group",
    "topk",
    "abs",
    "rate",
    "increase",
    "deriv",
    "min_over_time",
    "max_over_time",
    "histogram_quantile",
}
WORDS = FUNCTIONS | {"by", "and", "or", "unless", "offset"}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"[^"]*"\s*(?:,|$)')
DURATION = re.compile(r"\b\d+[smhd]\b")
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: it comes with Debian's package prometheus")


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """By metric, as Prometheus reads it off a service's own page."""
    metrics = Metrics()
    metrics.built("intake", "unknown")
    metrics.request("POST", "/complaints", 201, 0.1)
    metrics.command("register", "done")
    metrics.servers(lambda: {"kafka": ServerSeen(True, 0.1)})
    metrics.chain(lambda: (UUID(int=1), 2))
    counted = {"Mapping[tuple": {("a", "b"): 1}, "Mapping[str": {"a": 1}}  # a counter, by its labels
    measured: dict[str, Any] = {
        each.name: next((value for kind, value in counted.items() if kind in str(each.type)), 1) for each in fields(Measures)
    }

    async def measures() -> Measures:
        return Measures(**measured)

    page = asyncio.run(metrics.page(measures)).body
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(bytes(page).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(query: str, known: dict[str, set[str]]) -> set[str]:
    """The metrics that a query asks for. Fails where one is not there, or has not the labels that it is asked by."""
    metrics, used = set(), set()
    rest = query

    def take(found: re.Match[str]) -> str:
        name, matchers = found.groups()
        assert MATCHER.sub("", matchers).strip() == "", f"{query}: {{{matchers}}} cannot be read"
        wanted = {each[1] for each in MATCHER.finditer(matchers)}
        assert wanted <= known.get(name, set()) | OF_THE_SCRAPE, f"{query}: {name} has no label {wanted - known.get(name, set())}"
        metrics.add(name)
        return " "

    rest = SELECTOR.sub(take, rest)
    for grouped in re.findall(r"\bby\s*\(([^)]*)\)", rest):
        used |= {each.strip() for each in grouped.split(",")}
    rest = re.sub(r"\bby\s*\([^)]*\)", " ", rest)
    rest = re.sub(r"\[[^]]*\]", " ", DURATION.sub(" ", rest))
    metrics |= set(re.findall(r"[a-zA-Z_:][\w:]*", rest)) - WORDS
    assert metrics - known.keys() == set(), f"{query}: no service has {metrics - known.keys()}"
    assert used <= OF_THE_SCRAPE.union(*(known[name] for name in metrics)), f"{query}: by {used}"
    assert query.count("(") == query.count(")"), query
    return metrics


def shown() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in BOARDS.items():
        yield from ((name, panel) for panel in board["panels"] if panel["type"] != "row")


def queries() -> list[str]:
    return [target["expr"] for _, panel in shown() for target in panel["targets"]]


def test_what_an_alert_asks_for_is_there(labels: dict[str, set[str]]):
    assert len({group["name"] for group in ALERTS["groups"]}) == len(ALERTS["groups"])
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert re.fullmatch("Redress[A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert asked(rule["expr"], labels)
        told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert all(re.search(rf"\bby \([^)]*\b{name}\b", rule["expr"]) for name in told), rule["alert"]


def test_every_alert_leads_to_a_place_that_says_what_to_do():
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor in Page(ROOT / page).anchors(), rule["alert"]


def test_every_alarm_of_the_docs_has_an_alert(labels: dict[str, set[str]]):
    told = {row["metric"] for row in Page(ROOT / "docs/operate.md").table("metric", "meaning", "alarm")}
    woken = {re.sub("_(bucket|count|sum)$", "", name) for rule in RULES for name in asked(rule["expr"], labels)}
    assert told == woken


def test_every_alert_is_tried_when_it_wakes_somebody_and_when_not():
    tried = {name: [0, 0] for name in (rule["alert"] for rule in RULES)}
    for case in (case for test in TESTS["tests"] for case in test.get("promql_expr_test", ())):
        if found := re.search(r'alertname="(\w+)"', case["expr"]):
            tried[found[1]][bool(case.get("exp_samples"))] += 1
    assert [name for name, (quiet, woken) in tried.items() if not (quiet and woken)] == []


def test_what_the_tried_alerts_are_tried_on_is_there(labels: dict[str, set[str]]):
    for series in (each["series"] for test in TESTS["tests"] for each in test["input_series"]):
        asked(series, labels)


def test_dashboards_are_as_they_are_described():
    assert dashboards.drifted() == []


def test_every_query_of_a_dashboard_asks_for_what_there_is(labels: dict[str, set[str]]):
    assert {name for query in queries() for name in asked(query, labels)} >= {f"redress_{each}" for each in ("measured", "lag_records")}
    for _, panel in shown():
        for target in panel["targets"]:
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.search(r"\bby \(([^)]*)\)", target["expr"])
            assert legend <= ({each.strip() for each in grouped[1].split(",")} if grouped else OF_THE_SCRAPE), target["expr"]


def test_no_metric_of_ours_is_on_no_dashboard(labels: dict[str, set[str]]):
    seen = {name for query in queries() for name in asked(query, labels)}
    seen |= {re.sub("_(bucket|count)$", "", name) for name in seen}
    ours = {re.sub("_(bucket|count|sum)$", "", name) for name in labels if name.startswith("redress_") and not name.endswith("_created")}
    assert ours - seen == set()


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_the_panels_of_a_dashboard_have_their_own_numbers_and_places(name: str):
    board = BOARDS[name]
    assert board["uid"] == name.removesuffix(".json")
    assert len({each["uid"] for each in BOARDS.values()}) == len({each["title"] for each in BOARDS.values()}) == len(BOARDS)
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["w"] > 0 and place["h"] > 0 and place["x"] + place["w"] <= dashboards.COLUMNS
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not taken & cells, f"{panel['title']} covers another panel"
        taken |= cells
    variables = {each["name"] for each in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= variables | {"__rate_interval"}
    for _, panel in ((each, panel) for each, panel in shown() if each == name):
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        assert panel["type"] in ("timeseries", "stat") and panel["title"] and panel["datasource"] == dashboards.SOURCE


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("redress_backlog > 0", "no service has"),
        ('redress_measured{service="intake"}', "has no label"),
        ("sum by (route) (redress_measured)", "by "),
        ('redress_measured{job=intake"}', "cannot be read"),
    ],
)
def test_a_query_for_what_is_not_there_is_found(query: str, why: str, labels: dict[str, set[str]]):
    with pytest.raises(AssertionError, match=re.escape(why)):
        asked(query, labels)


def test_no_service_loads_the_sdk_of_traces_before_somebody_collects_them():
    mains = ", ".join(f"{package(name)}.main" for name in SERVICES)
    line = f"import sys, {mains}; print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    assert subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@needs_promtool
def test_alerts_wake_somebody_when_they_should():
    tried("test", "rules", str(FOLDER / "alerts_test.yml"))


@needs_promtool
def test_prometheus_reads_every_query(tmp_path: Path):
    plain = [query.replace("$__rate_interval", "5m").replace("$job", ".*") for query in queries()]
    rules = [{"record": f"dashboard:query{n}", "expr": query} for n, query in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    tried("check", "rules", str(FOLDER / "alerts.yml"), str(tmp_path / "rules.yml"))


def tried(*words: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
