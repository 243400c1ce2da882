"""services.toml is the one list of services: the files that are made from it say the same, and it says nothing that cannot be."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from redress_local.derived import NoPlace, drift, expected_places, write
from redress_local.manifest import FILE, BadManifest, parsed, read_services
from redress_local.places import ROOT, SERVICES

ENTRIES = read_services(ROOT)
TEXT = (ROOT / FILE).read_text()


def swapped(before: str, after: str) -> str:
    assert TEXT.count(before) >= 1
    return TEXT.replace(before, after, 1)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A root with services.toml and the files that are made from it."""
    for name in (FILE, *expected_places(ENTRIES)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_folder_of_services_is_listed_in_its_place():
    assert {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")} == {*SERVICES, "template"}
    for entry in ENTRIES:
        project = tomllib.loads((ROOT / "services" / entry.name / "pyproject.toml").read_text())["project"]
        assert project["name"] == entry.package.replace("_", "-")


def test_what_is_made_from_the_list_agrees_with_it():
    assert drift(ROOT) == []


@pytest.mark.parametrize("name", expected_places(ENTRIES))
def test_a_file_that_says_otherwise_is_shown_and_written_anew(copy: Path, name: str):
    right = (copy / name).read_text()
    wrong = re.sub(r"^.*\bcallback\b.*\n", "", right, flags=re.MULTILINE) if name not in ("pyproject.toml", "Dockerfile") else right
    wrong = re.sub("(/app/)?services/triage:", "", wrong)
    assert wrong != right
    (copy / name).write_text(wrong)
    (difference,) = drift(copy)
    assert difference.startswith(f"--- {name}\n")
    assert write(copy) == [name]
    assert (copy / name).read_text() == right


@pytest.mark.parametrize("name", expected_places(ENTRIES))
def test_a_file_that_lost_its_place_is_named(copy: Path, name: str):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("# from services.toml: ", "# ").replace("/app/services/", "/app/other/"))
    with pytest.raises(NoPlace, match=re.escape(name)):
        drift(copy)


def test_a_service_that_leaves_the_list_leaves_every_file(copy: Path):
    text = (copy / FILE).read_text().replace(', "sla-monitor"]', "]")
    start = text.index('[[service]]\nname = "sla-monitor"')
    (copy / FILE).write_text(text[:start] + text[text.index("[[service]]", start + 1) :])
    assert set(write(copy)) == set(expected_places(ENTRIES))
    assert not [name for name in expected_places(ENTRIES) if re.search("sla.monitor", (copy / name).read_text(), re.IGNORECASE)]


def test_what_one_container_has_beside_the_others_stands_in_its_entry_alone(copy: Path):
    (copy / FILE).write_text(f"{TEXT}environment = {{ REDRESS_TONE = 'loud' }}\nvolumes = [{{ type = 'tmpfs', target = '/tone' }}]\n")
    write(copy)
    environment = {
        name: each for name, each in yaml.safe_load((copy / "docker-compose.yml").read_text())["services"].items() if name in SERVICES
    }
    assert [name for name, each in environment.items() if "REDRESS_TONE" in each["environment"]] == [ENTRIES[-1].name]
    assert environment[ENTRIES[-1].name]["volumes"] == [*environment["triage"]["volumes"], {"type": "tmpfs", "target": "/tone"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            swapped('name = "triage"\npackage = "redress_triage"', 'name = "intake"\npackage = "redress_intake"'),
            "two services have the name intake",
        ),
        (swapped("port = 8002", "port = 8001"), "two services have the port 8001"),
        (swapped("port = 8002", 'port = "8002"'), "the port of triage is a number"),
        (swapped("port = 8002\n", ""), "triage has, or lacks, port"),
        (swapped("port = 8002", "port = 8002\nprot = 1"), "triage has, or lacks, prot"),
        (swapped('database = "redress_triage"', 'database = "redress_intake"'), "two services have the database redress_intake"),
        (swapped("contracts.triage", "contracts.intake"), "two services have the contract"),
        (swapped('package = "redress_triage"', 'package = "redress_sorting"'), "must be redress_triage"),
        (swapped('["intake", "handling", "callback"]', '["intake", "triage"]'), "triage listens to triage, which is not another service"),
        (swapped('["intake", "handling", "callback"]', '["nobody"]'), "triage listens to nobody, which is not another service"),
        (swapped('name = "triage"', 'name = "Triage"'), "'Triage' is not a name for a service"),
        (swapped('name = "triage"', 'name = "intake-2"'), "'intake-2' is not a name for a service"),
        (swapped('name = "triage"', 'name = "kafka"'), "'kafka' is not a name for a service"),
    ],
)
def test_a_list_that_cannot_be_is_refused_with_its_reason(text: str, message: str):
    with pytest.raises(BadManifest, match=message):
        parsed(text)
