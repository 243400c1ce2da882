"""The documentation cannot rot: its snippets run, its links lead somewhere, and its tables say what the code says."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import permission_page
import pytest
import rights_page
import typer
from changes import is_literal, touched
from fastapi.routing import APIRoute
from pages import ROOT, Page, mark, pages, script, unshown

from redress_chassis import Settings
from redress_chassis.api.commands import asks
from redress_chassis.operations import health, idle
from redress_chassis.operations.documents import PATHS as DOCUMENTS
from redress_chassis.operations.metrics import GAUGES, NOT_PROVED, Metrics
from redress_chassis.settings import PREFIX
from redress_chassis.variables import not_understood
from redress_cli.main import app
from redress_cli.target import ServiceEnvironment
from redress_events.contracts import CONTRACTS
from redress_events.vocabulary import Channel
from redress_local.places import SERVICES, package
from redress_local.pytest_plugin import MakeSystem
from redress_local.system import System
from redress_spine.messaging.kafka_rights import group
from redress_spine.messaging.records import UNREADABLE

PAGES = pages()
RUN_SECONDS = 280
# Where a reason is given: to a record that is parked or set aside, by whoever judges it.
REASON = re.compile(
    r"(?:DeadLetter\(record, |RejectedRecord\(record, key, |park\((?:item\.)?record, |problem ?= ?\(|if [\w.]+ [<>!=]+ .*:\s+return )"
    r'"([a-z-]+)", '
)
DRY_RUN = {"stays"}  # of a record that is folded to see what it would come to
OPEN = (*health.PATHS, idle.PATH, *DOCUMENTS)  # without a token
CODE_ROOTS = [*ROOT.glob("libs/*/redress_*"), *ROOT.glob("services/*/redress_*"), ROOT / "cli/redress_cli", ROOT / "deploy/local"]


def page(name: str) -> Page:
    return Page(ROOT / name)


@pytest.fixture(scope="module")
def running(system: MakeSystem) -> System:
    return system()


@pytest.mark.slow
@pytest.mark.parametrize("page", [each for each in PAGES if each.snippets], ids=lambda each: each.name)
def test_snippets_run_and_show_what_the_page_shows(page: Page, running: System):
    if shutil.which("curl") is None:
        pytest.skip("The pages use curl, and this machine has none.")
    environment = os.environ | {
        "REDRESS_STATUS_WITHIN": "60",  # this machine may be slow
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REDRESS_STACK": str(running.folder),
    }
    done = subprocess.run(
        ["bash", "-c", script(page)], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=RUN_SECONDS, check=False
    )
    last = len(page.snippets)
    outputs = re.split(r"=== snippet \d+ ===\n", done.stdout)[1:]
    assert done.returncode == 0, f"Snippet {len(outputs)} of {last} failed:\n{outputs[-1] if outputs else ''}\n{done.stderr}"
    assert mark(last) in done.stdout, f"A snippet ended the program early:\n{done.stdout}"
    for snippet, output in zip(page.snippets, outputs, strict=False):
        assert not unshown(snippet, output), f"{unshown(snippet, output)} not in the output of\n{snippet.body}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda each: each.name)
def test_links_lead_somewhere(page: Page):
    for text, target in page.links():
        path, _, fragment = target.partition("#")
        found = (page.path.parent / path).resolve() if path else page.path
        assert found.exists(), f"{page.name}: {target}"
        if fragment and found.suffix == ".md":
            assert fragment in Page(found).anchors(), f"{page.name}: {target}"
        symbol = re.fullmatch(r"`([A-Za-z_]\w*)`", text)
        if symbol and found.suffix in (".py", ".sql", ".yaml"):
            assert re.search(rf"\b{symbol[1]}\b", found.read_text("utf-8")), f"{page.name}: {symbol[1]} is not in {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda each: each.name)
def test_files_and_folders_that_are_named_exist(page: Page):
    made = touched(page) if is_literal(page) else []  # test_changes.py compares them with what is there in the end
    missing = [place for place in page.places() if place not in made and not any(ROOT.glob(place.rstrip("/")))]
    assert not missing, f"{page.name} names {missing}"


@pytest.mark.parametrize("folder", ["docs", "docs/adr"])
def test_every_page_is_in_its_index(folder: str):
    linked = {target.partition("#")[0] for _, target in page(f"{folder}/README.md").links()}
    written = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert written <= linked


def test_every_error_code_has_a_line_and_no_line_is_stale():
    said = {row["code"]: row["status"] for row in page("docs/errors.md").table("code", "status", "meaning", "what to do")}
    answered = dict(answered_codes())
    assert said.keys() == answered.keys()
    assert {code: said[code] for code, status in answered.items() if status} == {
        code: status for code, status in answered.items() if status
    }


def test_every_code_of_a_flaw_has_a_line():
    said = {row["code of an error"] for row in page("docs/errors.md").table("code of an error", "meaning")}
    assert said == set(codes_passed_to({"Flaw", "Forbidden", "_Bad"})) - {code for code, _ in answered_codes()}


def test_operations_are_those_of_the_code():
    told = [(row["service"], row["method"], row["path"]) for row in page("docs/api.md").table("service", "method", "path")]
    assert sorted(told) == sorted(set(operations()))


def test_permissions_are_those_of_the_services():
    assert permission_page.PAGE.read_text("utf-8") == permission_page.written(), "Run `make permissions`, and read what it changes."


def test_kafkas_rights_are_those_of_the_services():
    assert rights_page.PAGE.read_text("utf-8") == rights_page.written(), "Run `make permissions`, and read what it changes."


@pytest.mark.parametrize("name", SERVICES)
def test_every_endpoint_is_in_the_table_of_permissions_and_asks_it(name: str):
    routes = [route.declared for route in importlib.import_module(f"{package(name)}.main").app.router.routes if route.path not in OPEN]
    assert all(isinstance(route, APIRoute) and asks(route) for route in routes)
    named = [f"{method} {route.path}" for route in routes for method in route.methods - {"HEAD"}]
    assert sorted(named) == sorted(permission_page.service_of(name).permissions.operations)


def test_the_readme_says_what_each_service_is_for():
    assert [row["service"] for row in page("README.md").table("service", "what it does")] == list(SERVICES)


def test_settings_are_those_of_the_code():
    said = {row["variable"]: row["default"] for row in page("docs/configuration.md").table("variable", "default", "meaning")}
    for name, field in Settings.model_fields.items():
        variable = PREFIX + name.upper()
        assert said.pop(variable) == ("required" if field.is_required() else str(field.default)), variable
    used = {name for path in sources() for name in re.findall(r"\bREDRESS_[A-Z][A-Z_]+\b", path.read_text("utf-8"))}
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    beside = {PREFIX + name.upper() for name in ServiceEnvironment.model_fields} - settings  # what the command line reads in a container
    assert said.keys() == used - settings | beside


def test_no_service_takes_a_variable_of_the_page_for_a_mistake():
    """Else whoever runs a command and a service in one environment is refused: `redress_chassis.variables` says who else reads one."""
    told = [row["variable"] for row in page("docs/configuration.md").table("variable", "default", "meaning")]
    read = {PREFIX + name.upper() for name in Settings.model_fields}
    read |= {name for service in SERVICES for name in permission_page.service_of(service).variables}
    assert list(not_understood(dict.fromkeys(told, "x"), read)) == []


def test_metrics_are_those_of_the_code():
    said = {row["metric"] for row in page("docs/operate.md").table("metric", "meaning", "alarm")}
    own = {metric.name for metric in Metrics().registry.collect() if metric.name.startswith("redress_")}
    counters = {"redress_commands", "redress_effects", "redress_automations", "redress_audit_records", "redress_records_set_aside"}
    gauges = {f"redress_{name}" for name in GAUGES}
    assert said == (own - counters) | gauges | {f"{name}_total" for name in counters}


def test_every_reason_to_park_or_set_aside_a_record_has_a_line_and_no_line_is_stale():
    told = {row["reason"].strip("`") for row in page("docs/operate.md").table("reason", "cause", "fix")}
    spine = [path.read_text("utf-8") for path in sources() if "redress_spine" in path.parts]
    given = {reason for text in spine for reason in re.findall(REASON, text)}
    assert told == given - DRY_RUN | {UNREADABLE, *NOT_PROVED}


def test_consumer_groups_are_those_of_the_services():
    told = {row["service"]: row["consumer group"] for row in page("docs/operate.md").table("service", "consumer group")}
    assert told == {service: group(service) for service in SERVICES}


def test_the_command_line_is_told_whole():
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {row["redress …"].split()[0] for row in page("README.md").table("redress …")} == set(commands)


def test_every_make_target_is_on_a_page():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    text = "".join(each.text for each in PAGES)
    assert [target for target in targets if not re.search(rf"\bmake {target}\b", text)] == []


def test_channels_are_listed_in_one_place():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    every = [
        name for name in listed if not name.startswith(("schemas/", "deploy/gateway/", "docs/api-fields.md")) and (ROOT / name).is_file()
    ]
    texts = {name: (ROOT / name).read_bytes().decode(errors="replace") for name in every}
    channels = [re.compile(rf"[\"'`]{channel}[\"'`]") for channel in get_args(Channel)]
    assert [name for name, text in texts.items() if all(each.search(text) for each in channels)] == [
        "libs/events/redress_events/vocabulary.py"
    ]


def test_the_personal_fields_are_those_of_the_contracts():
    said = {row["event"]: row["sealed"] for row in page("docs/personal-data.md").table("event", "sealed")}
    events = [event for contract in CONTRACTS.values() for event in contract.by_type.values()]
    assert said == {event.__name__: ", ".join(event.personal_fields()) for event in events if event.personal_fields()}


def test_a_decision_is_a_page_of_the_same_shape():
    for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md")):
        text = path.read_text("utf-8")
        wanted = ["## Context", "## Decision", "## Consequences", "## Alternatives", "## Check"]
        assert [line for line in text.splitlines() if line.startswith("## ")] == wanted, path.name
        assert re.match(rf"# {int(path.name[:4])}\. ", text), path.name


def sources() -> Iterator[Path]:
    for root in CODE_ROOTS:
        yield from (path for path in root.rglob("*.py") if "tests" not in path.parts)
    yield from (ROOT / "deploy/local/preflight", ROOT / "Makefile")


def answered_codes() -> Iterator[tuple[str, str]]:
    """Every code that an answer may have, with its status where the code says it beside: in `Problem(status, code, …)` and
    `CommandRejected`."""
    passed = codes_passed_to({"Problem", "CommandRejected", "bad_token", "_refused", "invalid"})
    for code, statuses in passed.items():
        assert len(statuses - {""}) <= 1, f"{code} has the statuses {statuses}"
        yield code, "".join(statuses)


def codes_passed_to(callables: set[str]) -> dict[str, set[str]]:
    """String constants passed as the parameter `code` of these callables, and their defaults; the status that stands before them."""
    trees = [ast.parse(path.read_text("utf-8")) for path in sources() if path.suffix == ".py"]
    places: dict[str, int] = {}
    found: dict[str, set[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if (parameters := _parameters(node, callables)) is None:
                continue
            name, names, defaults = parameters
            if "code" in names:
                places[name] = names.index("code")
                if isinstance(default := defaults.get("code"), ast.Constant):
                    found.setdefault(str(default.value), set()).add("")
    for tree in trees:
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if name not in places:
                continue
            given = [keyword.value for keyword in call.keywords if keyword.arg == "code"] or call.args[places[name] : places[name] + 1]
            for constant in (one for one in given if isinstance(one, ast.Constant)):
                first = call.args[0] if call.args else None
                status = str(first.value) if name == "Problem" and isinstance(first, ast.Constant) else ""
                found.setdefault(str(constant.value), set()).add("409" if name == "CommandRejected" else status)
    return found


def _parameters(node: ast.AST, callables: set[str]) -> tuple[str, list[str], dict[str, ast.expr]] | None:
    """Name, parameters and defaults of a function, or of a class by its __init__ or its fields."""
    if isinstance(node, ast.FunctionDef) and node.name in callables:
        function, skip, name = node, 0, node.name
    elif isinstance(node, ast.ClassDef) and node.name in callables:
        made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
        if not made:
            return (
                node.name,
                [each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)],
                {},
            )
        function, skip, name = made[0], 1, node.name
    else:
        return None
    names = [argument.arg for argument in function.args.args][skip:]
    defaults = function.args.defaults
    return name, names, dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))


def operations() -> Iterator[tuple[str, str, str]]:
    """Service, method and path of every operation; what the chassis adds to all is told once, for `every`."""
    for service in SERVICES:
        document: dict[str, Any] = importlib.import_module(f"{package(service)}.main").app.openapi()
        for path, methods in document["paths"].items():
            for method in methods:
                yield "every" if path.startswith("/ops/") else service, method.upper(), path
