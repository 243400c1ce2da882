"""`make service NAME=…`, as docs/add-a-service.md says: what it makes starts, folds, and passes its tests and `make lint`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from changes import run
from copied import copy_to, prepare

from redress_local.derived import drift
from redress_local.manifest import FILE, read_services
from redress_local.new_service import TEMPLATE, NotMade, make, renamed
from redress_local.places import ROOT, SERVICES

COMMANDS = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAME = "late-alarm"  # a service of this name is nowhere else


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_to(tmp_path / "redress")


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_new_service_is_listed_last_with_the_next_free_port(copy: Path):
    made = make(copy, NAME)
    listed = read_services(copy)
    assert [each.name for each in listed] == [*SERVICES, NAME]
    assert (made, made.port) == (listed[-1], 1 + max(each.port for each in listed[:-1]))
    assert (made.package, made.database, made.contract.rpartition(".")[2]) == ("redress_late_alarm", "redress_late_alarm", "late_alarm")
    assert drift(copy) == []
    left = [name for name in files(copy / "services" / NAME) if re.search("template", name)]
    assert not left and not re.search(b"template", b"".join(files(copy / "services" / NAME).values()), re.IGNORECASE)


@pytest.mark.parametrize(
    "name",
    ["", "Notifier", "a b", 'a"b', "../notifier", "notifier-2", "kafka", "class", "template", "local", "cli", SERVICES[0], "n" * 41],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(copy: Path, name: str):
    before = files(copy)
    with pytest.raises(NotMade):
        make(copy, name)
    assert files(copy) == before


def test_events_that_are_there_already_are_not_overwritten(copy: Path):
    make(copy, NAME)
    shutil.rmtree(copy / "services" / NAME)
    (copy / FILE).write_text((ROOT / FILE).read_text())
    with pytest.raises(NotMade, match=r"This name is already used: libs/.*/late_alarm\.py"):
        make(copy, NAME)


KNOWN_NAMES = {"template", "Template", "TEMPLATE", "redress_template", "read_complaint_in_template", "ComplaintInTemplate"}


def test_the_template_is_known_by_its_name_alone():
    """So that renaming leaves nothing of it, whichever way it is written."""
    written = b" ".join(files(ROOT / TEMPLATE).values()).decode()
    assert set(re.findall(r"\w*[Tt]emplate\w*|TEMPLATE\w*", written)) <= KNOWN_NAMES
    assert renamed("redress_template contracts.template TEMPLATE Template template", "a-b") == "redress_a_b contracts.a_b A_B A-b a-b"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_page_is_followed_literally(copy: Path):
    environment = prepare(copy)
    blocks = COMMANDS.findall((copy / "docs" / "add-a-service.md").read_text("utf-8"))
    assert "make service NAME=notifier\n" in blocks[0]
    for block in (each.replace("notifier", NAME) for each in blocks):
        run(block, copy, environment)
    assert [each.name for each in read_services(copy)] == [*SERVICES, NAME]
