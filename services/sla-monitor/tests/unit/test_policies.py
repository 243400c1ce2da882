"""The packaged policy, and a policy file that an operator names."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from redress_chassis import PolicyUnusable
from redress_sla_monitor.domain.observed import NumberedClassification
from redress_sla_monitor.policies import SETTING, in_force, telecom_handbook

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("category", "severity", "target"),
    [
        ("service_quality", "normal", "3 working days"),
        ("billing_dispute", "minor", "5 working days"),
        ("business_process", "serious", "5 working days"),
        ("after_sales", "normal", "10 working days"),
        ("other", "normal", "10 working days"),
        ("service_quality", "major", "2 working days"),
        ("billing_dispute", "major", "3 working days"),
        ("other", "major", "5 working days"),
    ],
)
def test_the_handbook_gives_a_category_so_long(category: Any, severity: Any, target: str):
    started = in_force({}).resolve(1, 1, NOON, NumberedClassification(1, NOON, category, severity, "complaint"))
    assert (started.target, started.policy, started.calendar) == (target, in_force({}).policy.name, "china@1")


def test_the_handbook_gives_classifying_one_working_day():
    started = in_force({}).classify(1, NOON)
    assert started.target == "1 working day"
    assert started.deadline == datetime(2026, 3, 3, 16, 0, tzinfo=UTC)


def write(folder: Path, **changes: object) -> dict[str, str]:
    policy = yaml.safe_load(telecom_handbook().read_text(encoding="utf-8")) | changes
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    return {SETTING: str(folder / "policy.yaml")}


def clocks(**resolve: object) -> dict[str, object]:
    return {"classify": {"target": "20 seconds"}, "resolve": {"target": "90 seconds", **resolve}}


def test_an_operators_policy_goes_before_the_packaged_one(tmp_path: Path):
    rules = in_force(write(tmp_path, id="quick", version=7, clocks=clocks(kinds={"consultation": "1 working day"})))
    complaint = NumberedClassification(2, NOON, "other", "major", "complaint")
    assert rules.resolve(1, 1, NOON, complaint).target == "90 seconds"
    assert rules.resolve(1, 1, NOON, NumberedClassification(2, NOON, "other", "major", "consultation")).target == "1 working day"
    assert rules.classify(1, NOON).policy == "quick@7"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clocks": clocks(categories={"billing": "1 working day"})}, "clocks.resolve.categories.billing"),
        ({"clocks": clocks(target="3 days")}, "clocks.resolve.target: .*'3 days' is not a target"),
        ({"clocks": clocks(target=3)}, "clocks.resolve.target"),
        ({"clocks": clocks(severities={"major": 0})}, "clocks.resolve.severities.major"),
        ({"clocks": {"classify": {"target": "20 seconds"}}}, "clocks.resolve: Field required"),
        ({"calendar": "moon@1"}, "calendar: moon@1 is none of china@1"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_policy_that_cannot_be_used_says_which_field(tmp_path: Path, wrong: dict[str, object], message: str):
    with pytest.raises(PolicyUnusable, match=message):
        in_force(write(tmp_path, **wrong))


@pytest.mark.parametrize("content", [b"[not: yaml", b"\xff\xfe", b"", b"just words"])
def test_a_file_that_is_no_policy_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "policy.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyUnusable, match=r"policy\.yaml"):
        in_force({SETTING: str(path)})


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(PolicyUnusable, match=r"nowhere\.yaml"):
        in_force({SETTING: str(tmp_path / "nowhere.yaml")})
