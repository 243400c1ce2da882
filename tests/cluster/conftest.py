"""A Kubernetes of this machine's own, whose nodes are on paper. These tests run by `make test-cluster` alone, which builds it first."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import ControlPlane

HERE = Path(__file__).parent
VARIABLE = "CLUSTER_PROGRAMS"
if not all(importlib.util.find_spec(each) for each in ("helm_python", "kubernetes_validate")):
    collect_ignore_glob = ["test_*.py"]  # as the chart's other tests: what `make lint` installs is not there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get(VARIABLE):
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="They need Kubernetes' API server, which is built once: make test-cluster"))


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    from definitions import define  # it needs what `make lint` installs

    folder = Path(tempfile.mkdtemp(prefix="redress-cluster-"))
    made = ControlPlane(Path(os.environ[VARIABLE]).resolve(), folder)
    try:
        made.start()
        define(made)
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
