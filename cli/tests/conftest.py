"""What several tests of the command line begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redress_local.prepare import prepare_database, prepare_topics
from redress_local.processes import run
from redress_local.provision import Databases, drop


@pytest.fixture
def callback(postgres_admin: str, kafka_address: str) -> Iterator[Databases]:
    """Callback's database on the session's servers, migrated, dropped after the test."""
    run(prepare_topics(kafka_address, 12, "local"))
    made = run(
        prepare_database(postgres_admin, "callback", owner_password="owner-1", app_password="app-1", kafka=kafka_address, partitions=12)
    )
    yield made
    run(drop(postgres_admin, made))
