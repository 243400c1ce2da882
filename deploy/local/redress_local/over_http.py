"""One service in this process, asked over HTTP, on a real PostgreSQL, with Kafka out of reach: for the tests of every service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from redress_chassis import Service, Settings
from redress_chassis.running import RunningService
from redress_local.issuer import AUDIENCE, ISSUER, Issuer
from redress_local.places import migrations
from redress_local.provision import Databases
from redress_spine.processing.projections import changes, write
from redress_spine.store import connections
from redress_spine.store.engine import Engine
from redress_spine.store.migrate import migrate
from redress_spine.store.states import Codec
from redress_spine.store.vault import Vault, seal
from redress_spine.testing import Happened, folded

NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True)
class OverHttp:
    """Calls of one app by whoever is named: `role`, `role/name`, and after that department, areas and channels; several roles, areas or
    channels with a plus between.

    usual: who calls where nobody is named. owner: a connection as the database's owner. running: what the app has for itself.
    """

    service: Service
    running: RunningService
    http: httpx.AsyncClient
    issuer: Issuer
    databases: Databases
    owner: asyncpg.Connection
    usual: str

    async def get(self, path: str, who: str = "", **query: str) -> httpx.Response:
        return await self.http.get(path, params=query or None, headers=self._bearer(who))

    async def post(self, path: str, body: Any = None, who: str = "", key: str = "", **headers: str) -> httpx.Response:
        """key: of idempotency; a fresh one where none is given."""
        return await self.call("POST", path, body, who, key, **headers)

    async def call(self, method: str, path: str, body: Any = None, who: str = "", key: str = "", **headers: str) -> httpx.Response:
        headers = self._bearer(who) | {"idempotency-key": key or uuid.uuid4().hex} | headers
        return await self.http.request(method, path, json=body, headers=headers)

    async def knows(self, *happened: Happened, words: Mapping[str, str] | None = None) -> str:
        """The service knows a complaint by these events; its id. words: what is sealed under which reference."""
        identity = str(uuid.uuid4())
        subject, aggregate = f"complaint/{identity}", self.service.aggregates["complaint"]
        codec, state = Codec(aggregate), folded(self.service.contract, aggregate, happened)
        row = subject, codec.dump_observed(state.observed), codec.dump_own(state.own)
        await self.owner.execute("INSERT INTO state (subject, partition, revision, observed, own) VALUES ($1, 0, 1, $2, $3)", *row)
        await write(self.owner, changes(aggregate, subject, None, (state.observed, state.own)))
        cipher, wrapped = Vault(self.issuer.master_key.read_bytes(), _nobody, _nobody).make_key(subject)
        await self.owner.execute("INSERT INTO keys (subject, wrapped, acknowledged) VALUES ($1, $2, true)", subject, wrapped)
        for reference, text in (words or {}).items():
            await self.owner.execute("INSERT INTO sealed VALUES ($1, $2, $3)", subject, reference, seal(cipher, subject, reference, text))
        return identity

    def _bearer(self, who: str) -> dict[str, str]:
        roles, name, department, areas, channels, *_ = [*(who or self.usual).split("/"), "", "", "", ""]
        token = self.issuer.mint(
            roles.split("+"),
            name or "li",
            department=department or None,
            area=areas.split("+") if areas else None,
            channels=channels.split("+") if channels else (),
        )
        return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def over_http(
    service: Service,
    usual: str,
    folder: Path,
    databases: Databases,
    *,
    engine: Engine | None = None,
    policies: Any = None,
    **settings: Any,
) -> AsyncIterator[OverHttp]:
    """An app of the service while it runs. folder: for the issuer's files. engine: a
    stand-in, which runs on the same databases. policies, settings: where they differ from the usual."""
    schema = await migrate(
        owner_dsn=databases.owner_dsn,
        app_role=databases.app_role,
        service_migrations_dir=migrations(service.name),
        fold=service.fold,
        partitions=settings.get("partitions", 12),
    )
    issuer = Issuer(folder)
    given = {
        "database_url": databases.app_dsn,
        "kafka": NOWHERE,
        "master_key_file": issuer.master_key,
        "mac_keys_dir": issuer.mac_keys,
        "jwks": str(issuer.jwks),
        "issuer": ISSUER,
        "audience": AUDIENCE,
    }
    app = service.app(Settings.model_validate(given | settings), engine, policies=policies)
    owner = await connections.connect(databases.owner_dsn, server_settings={"search_path": f"{schema},public"})
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{service.name}", timeout=30) as http,
    ):
        yield OverHttp(service, app.state.serving, http, issuer, databases, owner, usual)
    await owner.close()


def _nobody() -> Any:
    raise AssertionError("Making a key asks nobody.")
