"""A service put together: its aggregates, automations and routes around one engine, behind one front door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from redress_chassis.api import direct, openapi
from redress_chassis.api.commands import asks
from redress_chassis.api.meanings import Meanings
from redress_chassis.auth.permissions import Permissions
from redress_chassis.auth.tokens import Tokens
from redress_chassis.edge import logs
from redress_chassis.edge.middleware import EdgeMiddleware
from redress_chassis.edge.paths import Paths
from redress_chassis.operations import documents, health, idle
from redress_chassis.operations import parked as ops
from redress_chassis.operations.meanings import OPERATIONS_MEANINGS
from redress_chassis.running import RunningService, WithoutTraceback
from redress_chassis.settings import Settings
from redress_chassis.version import VERSION
from redress_events.event import Contract
from redress_spine.aggregate import Aggregate, Automation, Verified
from redress_spine.messaging.mac import NO_KEYS, MacKeys
from redress_spine.processing.clock import Clock, wall_clock
from redress_spine.processing.reactor import Reactor
from redress_spine.store.engine import Engine
from redress_spine.store.states import Query

NO_MEANINGS = Meanings()


def _none(_: Any) -> tuple[()]:
    return ()


class Service:
    """The description of one service. `app()` is what uvicorn runs; several apps of one service, with other settings and policies, may
    run in one process.

    aggregates: by the kind of subject that each describes; the first is the kind that a call means which names none.
    policies: what the service decides by, of an environment that may name files of the installation. Raises PolicyUnusable.
    automations: made with the policies, and reactors with the settings, when an app starts.
    webhooks: what it posts to others, for the OpenAPI document. meanings: of what its interface names, for the same document.
    variables: of the environment, that it reads beside the settings."""

    def __init__(
        self,
        name: str,
        *,
        aggregates: Mapping[str, Aggregate],
        contract: Contract,
        contracts: Mapping[str, Contract],
        permissions: Permissions,
        meanings: Meanings = NO_MEANINGS,
        policies: Callable[[Mapping[str, str]], Any] = _none,
        automations: Callable[[Any], Sequence[Automation]] = _none,
        reactors: Callable[[Settings], Sequence[Reactor]] = _none,
        routes: Sequence[APIRouter] = (),
        webhooks: APIRouter | None = None,
        queries: Sequence[Query] = (),
        fold: int = 1,
        clock: Clock = wall_clock,
        variables: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.kind = next(iter(aggregates), "")
        self.aggregates = aggregates
        self.contract = contract
        self.contracts = contracts
        self.permissions = permissions.joined(ops.OPERATIONS)
        self.meanings = meanings.joined(OPERATIONS_MEANINGS)
        self.policies = policies
        self.automations = automations
        self.reactors = reactors
        self.routes = tuple(routes)
        self.queries = tuple(queries)
        self.fold = fold
        self.clock = clock
        self.variables = tuple(variables)
        self._webhooks = webhooks

    def app(
        self, settings: Settings | None = None, engine: Engine | None = None, tokens: Tokens | None = None, *, policies: Any = None
    ) -> FastAPI:
        """The ASGI app. Settings and policies are read when it starts, if none are given; importing a service needs no environment and no
        file. engine, tokens: stand-ins for tests."""
        running = RunningService(self, settings, policies, engine, tokens)
        logs.configure(self.name)
        paths = Paths(health.HEALTH, measures=[health.METRICS], documents=documents.PATHS, others=[idle.PATH])
        app = ServiceApp(
            lambda router: EdgeMiddleware(router, gate=running, paths=paths, other=WithoutTraceback(router, running)),
            title=f"Redress {self.name}",
            version=VERSION,
            description="Errors are RFC 9457 problem+json with a stable `code`.",
            lifespan=running.lifespan,
            redirect_slashes=False,
            openapi_url=None,  # it is served by operations/documents.py, and so are the pages that show it
            # Its spans and logs would hold addresses and exception messages, and those what customers wrote; metrics and traces are ours.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        app.state.serving = running
        declared = [route for router in (*self.routes, ops.router, health.router, idle.router) for route in router.routes]
        self.permissions.check(declared, asks, paths.open)
        # Not include_router: it matches each path three times, 40 µs of a request's 230 (FastAPI 0.165).
        app.router.routes[:] = map(direct.served, (*documents.routes, *declared))
        webhooks = [] if self._webhooks is None else self._webhooks.routes  # what is sent, in the OpenAPI document alone
        app.openapi = lambda: openapi.document(app, declared, webhooks, self.meanings)  # type: ignore[method-assign]  # FastAPI's documented way
        return app

    def verified(self, partitions: int, mac: MacKeys = NO_KEYS) -> Verified:
        """What `redress verify` compares this service by. mac: the keys by which records prove their source; without them none does."""
        return Verified(self.name, self.aggregates, self.contract, self.contracts, partitions, mac=mac)


class ServiceApp(FastAPI):
    """A FastAPI with one middleware, which turns every failure into its answer: FastAPI's own five would each do a part of that."""

    def __init__(self, edge: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._edge = edge

    def build_middleware_stack(self) -> ASGIApp:
        return self._edge(self.router)
