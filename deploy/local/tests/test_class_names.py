"""One name, one thing: a class or a type alias has a name that no other has, wherever in the repository it stands."""

from __future__ import annotations

import ast
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from redress_local.places import ROOT

# Every service has its own, made from the template: what it observed, what it did, the subject that both make, and how it is shown.
OF_EVERY_SERVICE = {"Observed", "Own", "Complaint", "ComplaintView"}
TYPE_VARIABLES = {"TypeVar", "ParamSpec"}


def python_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [path for path in map(Path, listed) if "tests" not in path.parts and (ROOT / path).exists()]


def names(source: str) -> Iterator[str]:
    """Classes and type aliases that a module defines. An alias is told from a constant by its small letters."""
    for statement in ast.parse(source).body:
        match statement:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(value=ast.Call(func=ast.Name(id=function))) if function in TYPE_VARIABLES:
                pass
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if (
                name[0].isupper() and not name.isupper()
            ):
                yield name


def places_by_name() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in python_files():
        for name in names((ROOT / path).read_text()):
            found[name].append(str(path))
    return found


def test_a_name_is_given_once():
    assert {name: places for name, places in places_by_name().items() if len(places) > 1 and name not in OF_EVERY_SERVICE} == {}


def test_the_names_that_may_repeat_are_given_by_services_alone():
    found = places_by_name()
    assert {place.split("/")[0] for name in OF_EVERY_SERVICE for place in found[name]} == {"services"}
    assert {name for name, places in found.items() if any(place.startswith("services/template/") for place in places)} >= OF_EVERY_SERVICE


@pytest.mark.parametrize(
    ("source", "defined"),
    [
        ("class Watch: ...", ["Watch"]),
        ("Place = tuple[int, int]", ["Place"]),
        ("Clock: TypeAlias = Callable[[], datetime]", ["Clock"]),
        ("State = TypeVar('State')", []),
        ("MOST = 5\nOUTSIDE: Final = 6\nmost = 7", []),
    ],
)
def test_what_counts_as_a_name(source: str, defined: list[str]):
    assert list(names(source)) == defined
