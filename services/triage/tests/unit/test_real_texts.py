"""How much of real complaints the rules recognise. The texts are no part of the project: REDRESS_REAL_TEXTS names their folder."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from redress_triage.domain.judge import judge
from redress_triage.domain.rules import Rules

SETTING = "REDRESS_REAL_TEXTS"


@pytest.fixture
def folder() -> Path:
    named = os.environ.get(SETTING)
    if not named:
        pytest.skip(f"{SETTING} names no folder of real complaints")
    return Path(named)


@pytest.mark.parametrize(
    ("name", "column", "recognised", "reviewed"),
    [("hotline_telecom_274.csv", "text_clean", 0.88, 0.16), ("telecom_complaints_en_2224.csv", "Customer Complaint", 0.80, 0.30)],
)
def test_most_real_complaints_are_recognised(
    rules: Rules, folder: Path, name: str, column: str, recognised: float, reviewed: float
) -> None:
    if not (folder / name).exists():
        pytest.skip(f"{name} is not in the folder that {SETTING} names")
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        verdicts = [judge(rules.taxonomy, row[column], "complaint") for row in csv.DictReader(file)]
    known = sum(verdict.category != "other" for verdict in verdicts) / len(verdicts)
    review = sum(verdict.review for verdict in verdicts) / len(verdicts)
    assert known >= recognised, f"{known:.1%} have a category other than `other`"
    assert review <= reviewed, f"{review:.1%} are for a person"
