"""Triage's rules as shipped, and its deciders under them, for stories."""

from __future__ import annotations

from functools import partial

import pytest

from redress_events.contracts import TRIAGE
from redress_spine.testing import Spec
from redress_triage.domain.aggregate import AGGREGATE
from redress_triage.domain.reclassify import Reclassify, reclassify
from redress_triage.domain.reroute import Reroute, reroute
from redress_triage.domain.rules import Rules
from redress_triage.policies import in_force


@pytest.fixture(scope="session")
def rules() -> Rules:
    return in_force()


@pytest.fixture(scope="session")
def triage(rules: Rules) -> Spec:
    return Spec(TRIAGE, AGGREGATE, {Reclassify: partial(reclassify, rules=rules), Reroute: reroute})
