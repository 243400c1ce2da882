"""docs/asvs.md speaks of every requirement of the levels 1 and 2 of ASVS 5.0.0, once, and says of each what is so."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

PAGE = (ROOT / "docs/asvs.md").read_text()
# How many requirements of level 1 or 2 each section has. They stand first; those of level 3 come behind them.
SECTIONS = {
    "1.1": 2,
    "1.2": 9,
    "1.3": 11,
    "1.4": 3,
    "1.5": 2,
    "2.1": 3,
    "2.2": 3,
    "2.3": 4,
    "2.4": 1,
    "3.2": 2,
    "3.3": 4,
    "3.4": 6,
    "3.5": 5,
    "3.7": 2,
    "4.1": 3,
    "4.2": 1,
    "4.3": 2,
    "4.4": 4,
    "5.1": 1,
    "5.2": 3,
    "5.3": 2,
    "5.4": 3,
    "6.1": 3,
    "6.2": 12,
    "6.3": 4,
    "6.4": 4,
    "6.5": 5,
    "6.6": 3,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 2,
    "7.6": 2,
    "8.1": 2,
    "8.2": 3,
    "8.3": 1,
    "8.4": 1,
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 2,
    "10.3": 4,
    "10.4": 11,
    "10.5": 5,
    "10.6": 2,
    "10.7": 3,
    "11.1": 2,
    "11.2": 3,
    "11.3": 3,
    "11.4": 4,
    "11.5": 1,
    "11.6": 1,
    "12.1": 3,
    "12.2": 2,
    "12.3": 4,
    "13.1": 1,
    "13.2": 5,
    "13.3": 2,
    "13.4": 5,
    "14.1": 2,
    "14.2": 4,
    "14.3": 3,
    "15.1": 3,
    "15.2": 3,
    "15.3": 7,
    "16.1": 1,
    "16.2": 5,
    "16.3": 4,
    "16.4": 3,
    "16.5": 3,
    "17.1": 1,
    "17.2": 4,
    "17.3": 2,
}
REQUIREMENTS = [f"{section}.{n}" for section, many in SECTIONS.items() for n in range(1, many + 1)]
STATES = {"kept", "operator", "open", "none"}
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in PAGE.splitlines() if re.match(r"\| \d", line)]


def meant(cell: str) -> list[str]:
    """The requirements of a row's first cell: numbers, and from one to another."""
    found: list[str] = []
    for part in cell.split(", "):
        first, _, last = part.partition(" – ")
        found += REQUIREMENTS[REQUIREMENTS.index(first) : REQUIREMENTS.index(last or first) + 1]
    return found


def test_each_requirement_is_spoken_of_once():
    spoken = [requirement for row in ROWS for requirement in meant(row[0])]
    assert sorted(spoken) == sorted(REQUIREMENTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_so_is_said(row: list[str]):
    assert row[2] in STATES
    assert row[2] == "none" or len(row) == 4, "it says where, or why"
