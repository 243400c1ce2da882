"""A Keycloak with a realm of ours, and the whole system, which accepts its tokens and no others. They run by `make test-identity` alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from keycloak import JWKS_MAX_AGE, Keycloak, distribution_in
from live import Live

from redress_local.pytest_plugin import a_system

HERE = Path(__file__).parent
VARIABLE = "KEYCLOAK"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get(VARIABLE):
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="They need Keycloak, which is fetched once: make test-identity"))


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    folder = Path(tempfile.mkdtemp(prefix="redress-identity-"))
    made = Keycloak(distribution_in(Path(os.environ[VARIABLE])), folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def told(keycloak: Keycloak) -> dict[str, str]:
    """The settings with which services read this provider's tokens."""
    return {
        "REDRESS_JWKS": keycloak.jwks,
        "REDRESS_ISSUER": keycloak.issuer,
        "REDRESS_JWKS_MAX_AGE_SECONDS": str(JWKS_MAX_AGE),
        "REDRESS_IDENTITY_PROVIDER": "keycloak",
        "REDRESS_ROLE_NAMES": "intake-channel=front-end; case-worker=handler; visit-agent=agent; team-lead=supervisor",
        "REDRESS_CLIENT_ROLES": "hotline=front-end",
        "REDRESS_DEPARTMENT_GROUPS": "/departments/technical_support=technical_support; /departments/finance=finance",
    }


@pytest.fixture(scope="session")
def denied() -> Iterator[Path]:
    """The list of tokens, callers and clients that services refuse."""
    folder = Path(tempfile.mkdtemp(prefix="redress-identity-"))
    (folder / "denied").write_text("")
    yield folder / "denied"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def live(told: dict[str, str], denied: Path) -> Iterator[Live]:
    environment = told | {"REDRESS_DENY_FILE": str(denied)}
    with a_system(settle_seconds=1.0, environment=environment) as system, closing(Live(system)) as made:
        yield made
