"""Every service looks the same: whoever knows one finds everything of the next, in files of the same names."""

from __future__ import annotations

import ast
import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from redress_local.places import ROOT, SERVICES, package

PLACES = [*(ROOT / "services" / name / package(name) for name in SERVICES), ROOT / "services/template/redress_template"]
HAS = {
    *("__init__.py", "py.typed", "main.py"),
    *("api.py", "bodies.py", "views.py", "queries.py", "permissions.py", "automations.py"),
    *("policies/__init__.py", "domain/__init__.py", "domain/aggregate.py", "domain/observed.py", "domain/own.py", "domain/lists.py"),
}
MAY_HAVE = {"reactors.py", "testing.py"}
ALONE = {"intake": {"signatures.py", "telling.py"}, "sla-monitor": {"calendars"}}  # what one service needs and no other
FOLDERS = {"policies", "domain", "pages"}  # in which each has files of its own, beside those above
# What is made where, by the name of what is called; and what is defined where. Elsewhere in a service it is not.
MADE = {
    ("Service", "main.py"),
    ("APIRouter", "api.py"),
    ("APIRouter", "pages/__init__.py"),
    ("Query", "queries.py"),
    ("Grouping", "queries.py"),
    ("Permissions", "permissions.py"),
    ("Automation", "automations.py"),
    ("Reactor", "reactors.py"),
    ("Aggregate", "domain/aggregate.py"),
    ("read_policy", "policies/__init__.py"),
}
DEFINED = {
    "AGGREGATES": "domain/aggregate.py",
    "OBSERVES": "domain/observed.py",
    "observe": "domain/observed.py",
    "evolve": "domain/own.py",
    "PROJECTIONS": "domain/lists.py",
    "QUERIES": "queries.py",
    "PERMISSIONS": "permissions.py",
    "automations": "automations.py",
    "in_force": "policies/__init__.py",
    "service": "main.py",
    "app": "main.py",
}
SUBSCRIPTION = {"OBSERVES", "observe", "evolve", "PROJECTIONS"}  # intake's second aggregate is one file, domain/subscription.py
ENDINGS = {"Body": "bodies.py", "View": "views.py", "Page": "views.py"}


@pytest.fixture(params=PLACES, ids=lambda place: place.parent.name)
def place(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


def sources(place: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(place.rglob("*.py")):
        yield str(path.relative_to(place)), ast.parse(path.read_text("utf-8"))


def test_it_has_the_files_that_all_have_and_no_others_at_the_top(place: Path):
    there = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert sorted(HAS - there) == []
    top = {path.name for path in place.iterdir()} - {"__pycache__"}
    assert sorted(top - {name for name in HAS if "/" not in name} - FOLDERS - MAY_HAVE - ALONE.get(place.parent.name, set())) == []


def test_what_a_service_is_made_of_is_made_in_its_place(place: Path):
    for name, tree in sources(place):
        calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert {(each, name) for each in calls & {what for what, _ in MADE}} <= MADE


def test_what_others_look_for_is_defined_in_its_place(place: Path):
    found: dict[str, set[str]] = {}
    for name, tree in sources(place):
        if name == "domain/subscription.py":
            assert {each for each in defined(tree) if each in DEFINED} <= SUBSCRIPTION
            continue
        for each in defined(tree) & DEFINED.keys():
            found.setdefault(each, set()).add(name)
    assert found == {each: {name} for each, name in DEFINED.items()}


def test_bodies_and_views_stand_in_their_places(place: Path):
    for name, tree in sources(place):
        if name.startswith("domain/"):
            continue
        for each in (node.name for node in tree.body if isinstance(node, ast.ClassDef)):
            assert name == next((file for ending, file in ENDINGS.items() if each.endswith(ending)), name), each


def defined(tree: ast.Module) -> set[str]:
    """The names of a module's functions and values."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("name", SERVICES)
def test_it_can_be_given_to_another_process(name: str):
    """A rebuild of a long log does. A function without a name of its own cannot: a lambda, or one inside of another."""
    verified = importlib.import_module(f"{package(name)}.main").service.verified(12)
    assert pickle.loads(pickle.dumps(verified)).aggregates.keys() == verified.aggregates.keys()
