"""One app of a service while it runs: its settings, its policies, its engine and how that is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redress_chassis.api.streams import Streams
from redress_chassis.auth.callers import Caller
from redress_chassis.auth.permissions import Permissions
from redress_chassis.auth.tokens import Tokens
from redress_chassis.edge import logs
from redress_chassis.edge.problems import unavailable
from redress_chassis.operations.metrics import Metrics
from redress_chassis.policies import PolicyUnusable
from redress_chassis.settings import BadSettings, Settings
from redress_chassis.version import VERSION
from redress_spine.messaging.mac import NO_KEYS
from redress_spine.processing.clock import SteppingClock
from redress_spine.store.engine import Config, Engine, Health, JournalRestored, Measures, ServerSeen, Unavailable
from redress_spine.tracing import Tracer

if TYPE_CHECKING:
    from redress_chassis.operations.tracing import OtlpTracer
    from redress_chassis.service import Service

START_TIMEOUT = 5.0  # seconds that the start waits for the engine; then health is served, and 503 for the rest, until it is up
RETRY = 1.0  # seconds between two starts
log = structlog.get_logger()


class RunningService:
    """What one app of a service has for itself; several apps in one process share nothing that changes.

    settings, policies: what is None is read at each start. engine, tokens: stand-ins for tests."""

    def __init__(self, service: Service, settings: Settings | None, policies: Any, engine: Engine | None, tokens: Tokens | None) -> None:
        self.metrics = Metrics()
        self.access = logs.AccessLog(service.name)
        self.kind = service.kind
        self.permissions: Permissions = service.permissions
        self.policies: Any = None
        self.streams = Streams(lambda: self.engine)
        self.starting: asyncio.Task[None] | None = None
        self.tracer: Tracer | None = None  # none where nobody collects spans
        self.refused: str | None = None  # why nothing is started: a setting, or a policy
        self._service = service
        self._given = settings, policies, engine, tokens
        self._settings: Settings | None = None
        self._mac = NO_KEYS
        self._tokens: Tokens | None = None
        self._engine: Engine | None = None
        self._waiting_for = "The service is starting."
        self._restored: JournalRestored | None = None  # why it does not start

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """From the start to the end of the app. Raises BadSettings and PolicyUnusable, which end the process."""
        settings = self._read()
        logs.configure(self._service.name, settings.log_level)
        self.access = logs.AccessLog(self._service.name, settings.log_level)
        log.info("starting", version=VERSION, build=settings.build)
        self.metrics.built(self._service.name, settings.build)
        tracer = self.tracer = _tracer(self._service.name, settings)
        _, _, engine, tokens = self._given
        self.permissions = self._service.permissions.under(settings.duties())
        self._tokens = tokens or settings.tokens()
        self.metrics.issuer(self._tokens.issuer_away)
        self.metrics.servers(self.servers)
        self.metrics.chain(lambda: self._engine.audit_head if self._engine is not None else None)
        self._engine = engine or self._made(settings)
        self.starting = asyncio.create_task(self._start(self._engine), name="engine-start")
        try:
            await self._started_or_timeout()
            _spare_the_collector()
            yield
        finally:
            await self._stop()
            self.tracer = None
            if tracer is not None:
                await tracer.close()

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
    def build(self) -> str:
        return self._settings.build if self._settings is not None else "unknown"

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

    async def audit(self, record: dict[str, Any]) -> None:
        """Have the audit trail keep it. Raises what stands in the way: who asked is not answered then."""
        try:
            await self.engine.audit(record)
        except Exception:
            self.metrics.audited("not-written")
            raise
        self.metrics.audited(record["kind"])

    def tally(self, record: dict[str, Any]) -> None:
        """The same for what anybody can cause without end."""
        self.metrics.audited(record["kind"])
        if self._engine is not None:
            self._engine.tally(record)

    async def health(self) -> Health:
        """Whether calls may be sent here now, and what somebody must see to."""
        if self._engine is None or self.starting is None or not self.starting.done():
            return Health(False, [self._waiting_for])
        return Health(False, [self.broken]) if self.broken else await self._engine.health()

    def servers(self) -> Mapping[str, ServerSeen]:
        """How Kafka and PostgreSQL answer; nothing until the engine has started."""
        started = self._engine is not None and self.starting is not None and self.starting.done() and not self.broken
        return self._engine.servers() if started and self._engine else {}

    async def measures(self) -> Measures:
        return await self.engine.measures()

    def _read(self) -> Settings:
        """What was not given, from the environment and the files that it names."""
        settings, policies, engine, _ = self._given
        try:
            settings = self._settings = settings or Settings.read(os.environ, self._service.variables)
            self._mac = NO_KEYS if engine else settings.mac_keys(self._service.name)
            self.policies = self._service.policies(os.environ) if policies is None else policies
        except (BadSettings, PolicyUnusable) as error:
            self.refused = str(error)
            kind = "bad-setting" if isinstance(error, BadSettings) else "bad-policy"
            for line in self.refused.splitlines():
                log.error(kind, service=self._service.name, reason=line)
            raise
        return settings

    def _made(self, settings: Settings) -> Engine:
        service = self._service
        return Engine(
            source=service.name,
            aggregates=service.aggregates,
            contract=service.contract,
            contracts=service.contracts,
            automations=service.automations(self.policies),
            reactors=service.reactors(settings),
            queries=service.queries,
            fold=service.fold,
            config=Config(
                database_url=settings.database_url,
                password_file=settings.database_password_file,
                kafka=settings.clients(settings.kafka),
                master_key=settings.master_keys,
                mac=self._mac,
                partitions=settings.partitions,
                settle=settings.settle_seconds,
                keep_answers=timedelta(days=settings.idempotency_days),
                clock_tolerance=settings.clock_tolerance_seconds,
                min_insync=settings.min_insync,
            ),
            clock=SteppingClock(settings.clock_file) if settings.clock_file else service.clock,
            tracer=self.tracer,
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
        if self._tokens is not None:
            await self._tokens.close()


class WithoutTraceback:
    """The end of a process whose settings or policies are wrong: the reason was logged, and a traceback would only hide it."""

    def __init__(self, app: ASGIApp, running: RunningService) -> None:
        self._app = app
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._running.refused is not None:
                message = {**message, "message": ""}
            await send(message)

        await self._app(scope, receive, without)


def _tracer(service: str, settings: Settings) -> OtlpTracer | None:
    if settings.otlp_endpoint is None:
        return None
    from redress_chassis.operations.tracing import OtlpTracer  # here: it brings the SDK

    return OtlpTracer(settings.otlp_endpoint, service, settings.build, settings.otlp_sample)


def _spare_the_collector() -> None:
    """What was made by now stays forever: the search for cycles passes over it, and runs less often than for a script's few objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
