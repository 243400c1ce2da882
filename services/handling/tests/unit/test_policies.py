"""The data that handling's rules take, and that it fits the data of others."""

from pathlib import Path

import pytest
import yaml

from redress_chassis import PolicyUnusable
from redress_handling.policies import in_force

ROUTING = Path(__file__).parents[3] / "triage/redress_triage/policies/routing.yaml"


def test_cases_are_transferred_among_the_departments_that_triage_routes_to():
    assert in_force() == set(yaml.safe_load(ROUTING.read_text("utf-8"))["departments"])


@pytest.mark.parametrize(("text", "place"), [("finance", ""), ("- finance\n- [legal]", "1: ")])
def test_a_file_that_is_no_list_of_names_is_named_with_the_place(tmp_path: Path, text: str, place: str):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text)
    with pytest.raises(PolicyUnusable, match=rf"wrong\.yaml: {place}\w+ should "):
        in_force(departments=wrong)
