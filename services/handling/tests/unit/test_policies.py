"""The data that handling's rules take, and that it fits the data of others."""

from pathlib import Path

import yaml

from redress_handling.policies import departments

ROUTING = Path(__file__).parents[3] / "triage/redress_triage/policies/routing.yaml"


def test_cases_are_transferred_among_the_departments_that_triage_routes_to():
    assert departments() == set(yaml.safe_load(ROUTING.read_text("utf-8"))["departments"])
