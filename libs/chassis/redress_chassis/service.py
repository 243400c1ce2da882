"""A service put together: its kinds, work and routes around one engine, behind one front door."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta

import asyncpg
import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from redress_chassis.api import direct, openapi
from redress_chassis.api.commands import asks
from redress_chassis.auth.callers import Caller
from redress_chassis.auth.jwks import Jwks
from redress_chassis.auth.permissions import Permissions
from redress_chassis.auth.tokens import Tokens
from redress_chassis.edge import logs
from redress_chassis.edge.middleware import EdgeMiddleware
from redress_chassis.edge.problems import defect, problem_of, unavailable
from redress_chassis.edge.request_context import request_context_of
from redress_chassis.operations import health, idle
from redress_chassis.operations import parked as ops
from redress_chassis.operations.metrics import Metrics
from redress_chassis.settings import BadSettings, Settings
from redress_events.event import Contract
from redress_spine.admin.verify import Verified
from redress_spine.aggregate import Aggregate, Automation
from redress_spine.processing.clock import Clock, SteppingClock, wall_clock
from redress_spine.processing.reactor import Reactor
from redress_spine.store.engine import Config, Engine, Health, JournalRestored, Measures, Unavailable
from redress_spine.store.states import Query

START_TIMEOUT = 5.0  # seconds that the start waits for the engine; then health is served, and 503 for the rest, until it is up
RETRY = 1.0  # seconds between two starts
DOCUMENTS = ("/docs", "/openapi.json")
log = structlog.get_logger()


def _none(_: Settings) -> Sequence[Reactor]:
    return ()


class Service:
    """One service. `app()` is what uvicorn runs; `engine` is there once it has started.

    aggregates: by the kind of subject that each describes; the first is the kind that a call means which names none.
    reactors: made with the settings, when it starts. webhooks: what it posts to others, for
    the OpenAPI document."""

    def __init__(
        self,
        name: str,
        *,
        aggregates: Mapping[str, Aggregate],
        contract: Contract,
        contracts: Mapping[str, Contract],
        permissions: Permissions,
        automations: Sequence[Automation] = (),
        reactors: Callable[[Settings], Sequence[Reactor]] = _none,
        routes: Sequence[APIRouter] = (),
        webhooks: APIRouter | None = None,
        queries: Sequence[Query] = (),
        fold: int = 1,
        clock: Clock = wall_clock,
    ) -> None:
        self.name = name
        self.kind = next(iter(aggregates))
        self.metrics = Metrics()
        self.access = logs.AccessLog(name)
        self.permissions = permissions.joined(ops.OPERATIONS)
        self._kinds = aggregates
        self._contract = contract
        self._contracts = contracts
        self.automations = tuple(automations)
        self._reactors = reactors
        self._routes = routes
        self._webhooks = webhooks
        self.queries = tuple(queries)
        self.fold = fold
        self._clock = clock
        self._settings: Settings | None = None
        self._tokens: Tokens | None = None
        self._engine: Engine | None = None
        self.starting: asyncio.Task[None] | None = None
        self._waiting_for = "The service is starting."
        self._restored: JournalRestored | None = None  # why it does not start

    def app(self, settings: Settings | None = None, engine: Engine | None = None, tokens: Tokens | None = None) -> FastAPI:
        """The ASGI app. Settings are read when it starts, if none are given; importing a service needs no environment.
        engine, tokens: stand-ins for tests."""

        @contextlib.asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            self._settings = settings or _settings(self.name)
            logs.configure(self.name, self._settings.log_level)
            self.access = logs.AccessLog(self.name, self._settings.log_level)
            self._tokens = tokens or Tokens(Jwks(self._settings.jwks), self._settings.issuer, self._settings.audience)
            self._engine = engine or self._made(self._settings)
            self.starting = asyncio.create_task(self._start(self._engine), name="engine-start")
            try:
                await self._started_or_timeout()
                _spare_the_collector()
                yield
            finally:
                await self._stop()

        logs.configure(self.name)
        app = FastAPI(
            title=f"Redress {self.name}",
            description="Errors are RFC 9457 problem+json with a stable `code`.",
            lifespan=lifespan,
            redirect_slashes=False,
            redoc_url=None,
            swagger_ui_oauth2_redirect_url=None,  # tokens are not had by OAuth's redirects
            telemetry={"logs": False},  # they would hold exception messages, and those what customers wrote
            exception_handlers={HTTPException: _answered, RequestValidationError: _answered},
        )
        app.state.serving = self
        declared = [route for router in (*self._routes, ops.router, health.router, idle.router) for route in router.routes]
        open_paths = (*health.PATHS, idle.PATH, *DOCUMENTS)
        self.permissions.check(declared, asks, open_paths)
        # Not include_router: it matches each path three times, 40 µs of a request's 230 (FastAPI 0.165).
        app.router.routes[:] = map(direct.served, (*app.router.routes, *declared))
        app.add_middleware(EdgeMiddleware, gate=self, open_paths=open_paths)
        webhooks = [] if self._webhooks is None else self._webhooks.routes  # what is sent, in the OpenAPI document alone
        app.openapi = lambda: openapi.document(app, declared, webhooks)  # type: ignore[method-assign]  # FastAPI's documented way
        return app

    @property
    def engine(self) -> Engine:
        """The running engine. Raises a 503 until it has started, and JournalRestored where it waits for an adoption."""
        if self._restored is not None:
            raise self._restored
        if self._engine is None or self.starting is None or not self.starting.done() or self.broken:
            raise unavailable("The service is starting.")
        return self._engine

    @property
    def settings(self) -> Settings:
        assert self._settings is not None, "the app has not been started"
        return self._settings

    @property
    def max_body(self) -> int:
        return self.settings.max_body

    @property
    def broken(self) -> str | None:
        """Why this process will never be ready, if that is so."""
        starting = self.starting
        if starting is None or not starting.done() or starting.cancelled() or (error := starting.exception()) is None:
            return None
        return f"The start failed: {type(error).__name__}."

    @property
    def dying(self) -> list[str]:
        """Why this process is to be restarted; empty while it lives."""
        if self.broken:
            return [self.broken]
        started = self._engine is not None and self.starting is not None and self.starting.done()
        return self._engine.stalled() if started and self._engine else []

    async def caller(self, token: str) -> Caller:
        if self._tokens is None:
            raise unavailable("The service is starting.")
        return await self._tokens.caller(token)

    async def health(self) -> Health:
        """Whether calls may be sent here now, and what somebody must see to."""
        if self._engine is None or self.starting is None or not self.starting.done():
            return Health(False, [self._waiting_for])
        return Health(False, [self.broken]) if self.broken else await self._engine.health()

    async def measures(self) -> Measures:
        return await self.engine.measures()

    def verified(self, partitions: int) -> Verified:
        """What `redress verify` compares this service by."""
        return Verified(self.name, self._kinds, self._contract, self._contracts, partitions)

    def _made(self, settings: Settings) -> Engine:
        return Engine(
            source=self.name,
            aggregates=self._kinds,
            contract=self._contract,
            contracts=self._contracts,
            automations=self.automations,
            reactors=self._reactors(settings),
            queries=self.queries,
            fold=self.fold,
            config=Config(
                database_url=settings.database_url,
                kafka=settings.clients(settings.kafka),
                master_key=settings.master_key,
                partitions=settings.partitions,
                settle=settings.settle_seconds,
                keep_answers=timedelta(days=settings.idempotency_days),
                clock_tolerance=settings.clock_tolerance_seconds,
                min_insync=settings.min_insync,
            ),
            clock=SteppingClock(settings.clock_file) if settings.clock_file else self._clock,
        )

    async def _start(self, engine: Engine) -> None:
        """Again and again while the database is away, or not yet migrated or adopted."""
        while True:
            try:
                await engine.start()
                self._restored = None
                return
            except (Unavailable, JournalRestored, OSError, TimeoutError, asyncpg.PostgresError) as error:
                self._waiting_for = str(error) if isinstance(error, (Unavailable, JournalRestored)) else "The database does not answer."
                self._restored = error if isinstance(error, JournalRestored) else None
                log.warning("not-started", reason=self._waiting_for, error=type(error).__name__)
            await engine.stop()
            await asyncio.sleep(RETRY)

    async def _started_or_timeout(self) -> None:
        """Return once the engine runs, or after a while without it. A start that fails at once ends the process, with its reason."""
        assert self.starting is not None
        await asyncio.wait({self.starting}, timeout=START_TIMEOUT)
        if self.starting.done():
            self._report(self.starting)
            self.starting.result()
        else:
            self.starting.add_done_callback(self._report)

    def _report(self, task: asyncio.Task[None]) -> None:
        if self.broken:
            log.error("start-failed", reason=self.broken, exc_info=task.exception())

    async def _stop(self) -> None:
        assert self.starting is not None
        self.starting.cancel()
        with contextlib.suppress(BaseException):
            await self.starting
        if self._engine is not None:
            await self._engine.stop()
        self._engine = None


def _spare_the_collector() -> None:
    """What was made by now stays for ever: the search for cycles passes over it, and runs less often than for a script's few objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _settings(name: str) -> Settings:
    try:
        return Settings.read()
    except BadSettings as error:
        for line in str(error).splitlines():
            log.error("bad-setting", service=name, reason=line)
        raise


async def _answered(request: Request, error: Exception) -> Response:
    """What the framework would answer, as a problem. All other failures go through to the door."""
    request_context = request_context_of(request.scope)
    problem = problem_of(error) or defect()
    request_context.code = problem.code
    return problem.response(request_context.trace.trace)
