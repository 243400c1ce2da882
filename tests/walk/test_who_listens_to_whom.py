"""services.toml says who publishes what and who listens to whom, as the code does."""

from __future__ import annotations

import importlib

import pytest
from golden_log import folding

from redress_local.manifest import ServiceEntry
from redress_local.places import ENTRIES, SERVICES

FOLDING = folding()
PUBLISHER = {event: source for source, service in FOLDING.items() for event in service.contract.type_of}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_a_service_publishes_and_listens_to_what_its_entry_says(entry: ServiceEntry):
    service = FOLDING[entry.name]
    assert service.contract is getattr(importlib.import_module(entry.contract), entry.constant)
    assert service.contract.source == entry.name
    sources = {PUBLISHER[event] for event in service.aggregate.observes} - {entry.name}
    assert list(entry.listens_to) == [name for name in SERVICES if name in sources]
