"""Does the effects that reactors want: leased, outside any transaction, in a bounded pool, with a time limit. Then says what came of it.

Killed between the effect and its event, a replica leaves a lease that ends; then the effect is done again, with the same key for the other
side, and its event is committed once: the commit takes the effect's key as it takes a request's.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import structlog

from redress_events.event import Event
from redress_spine import tracing
from redress_spine.aggregate import Context
from redress_spine.processing import effects
from redress_spine.processing.clock import monotonic
from redress_spine.processing.effects import Leased
from redress_spine.processing.reactor import EffectAttempt, Later, Never, Reactor
from redress_spine.store.deciding import CommandMetadata
from redress_spine.store.errors import JournalRestored, Unavailable, safe_message
from redress_spine.store.states import Connection, Loaded
from redress_spine.tracing import Span, Tracer

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between two looks, unless woken
PRUNED = 500  # rows
PRUNE_EACH = 60.0  # seconds
TOO_LONG = "tried-too-long"
NOT_WANTED = "It was no longer needed."

Lend = Callable[[], AbstractAsyncContextManager[Connection]]
Decide = Callable[[str, Callable[[Any, Context], list[Event]], CommandMetadata], Awaitable[Any]]


class Performing:
    """One for each replica. lend: a connection, never held while an effect is done. state: a subject's, None where there is none. open:
    personal fields in clear, by reference. decide: commits events about a subject, again if its row moved, once for each key. tracer: where
    attempts are told of."""

    def __init__(
        self,
        *,
        source: str,
        reactors: Sequence[Reactor],
        lend: Lend,
        state: Callable[[str], Awaitable[Any]],
        open: Callable[[str, Sequence[str]], Awaitable[Mapping[str, str]]],
        decide: Decide,
        tracer: Tracer | None = None,
    ) -> None:
        self._source = source
        self._reactors = list(reactors)
        self._lend = lend
        self._state = state
        self._open = open
        self._decide = decide
        self._tracer = tracer
        self._spans: dict[tuple[str, str, int], Span] = {}  # of attempts under way, by reactor, key and number
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex}"
        self._woken = {each.name: asyncio.Event() for each in reactors}
        self._pools: dict[str, Executor] = {}
        self.progress = dict.fromkeys(self._woken, monotonic())  # of each reactor's last turn
        self.counts: dict[tuple[str, str], int] = {}
        self.under_way = 0

    def wake(self) -> None:
        for woken in self._woken.values():
            woken.set()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for reactor in self._reactors:
                    group.create_task(self._for_ever(reactor))
        finally:
            for pool in self._pools.values():
                pool.shutdown(wait=False, cancel_futures=True)

    async def _for_ever(self, reactor: Reactor) -> None:
        """Lease as many as there is room for, and do them; what one takes long for holds up no other."""
        running: set[asyncio.Task[None]] = set()
        pruned = monotonic() - PRUNE_EACH
        try:
            while True:
                self.progress[reactor.name] = monotonic()
                woken = self._woken[reactor.name]
                woken.clear()
                try:
                    if room := reactor.at_once - len(running):
                        async with self._lend() as connection:
                            metadata = monotonic()
                            leased = await effects.lease(connection, reactor, self._owner, room)
                        running |= {asyncio.create_task(self.perform(reactor, each, metadata)) for each in leased}
                    if monotonic() - pruned >= PRUNE_EACH:
                        async with self._lend() as connection:
                            await connection.execute(effects.PRUNE, reactor.name, reactor.keep, PRUNED)
                        pruned = monotonic()
                except Exception as error:
                    log.warning("effects-not-looked-for", service=self._source, reactor=reactor.name, error=safe_message(error))
                waking = asyncio.create_task(woken.wait())
                await asyncio.wait({*running, waking}, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                running = {task for task in running if not task.done()}
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def perform(self, reactor: Reactor, leased: Leased, metadata: float) -> None:
        """One attempt. asked: when its lease was asked for, by the monotonic clock."""
        self.under_way += 1
        if self._tracer is not None:
            span = self._spans[reactor.name, leased.effect.key, leased.attempt] = tracing.attempted(self._tracer, reactor.name, leased)
            leased = replace(leased, traceparent=span.traceparent)
        try:
            await self._perform(reactor, leased, metadata)
        except (Unavailable, JournalRestored) as error:  # nothing is at fault: its lease ends, and it is done again
            self._count(reactor, leased, "interrupted")
            log.warning("effect-interrupted", service=self._source, reactor=reactor.name, key=leased.effect.key, error=safe_message(error))
        finally:
            self.under_way -= 1
            self._end(reactor, leased, None)

    async def _perform(self, reactor: Reactor, leased: Leased, metadata: float) -> None:
        """What it came to is told and written down. Where that fails, by a decider's fault, it is done again as if it had failed itself."""
        try:
            await self._done_and_told(reactor, leased, metadata)
        except (Unavailable, JournalRestored):
            raise
        except Exception as error:
            log.error("effect-not-told", service=self._source, reactor=reactor.name, key=leased.effect.key, error=safe_message(error))
            if reactor.retry.is_over(leased.attempt, leased.since_first):
                await self._finish(reactor, leased, "dead", safe_message(error))
            else:
                await self._again(reactor, leased, safe_message(error))

    async def _done_and_told(self, reactor: Reactor, leased: Leased, metadata: float) -> None:
        effect = leased.effect
        try:
            async with asyncio.timeout(None if reactor.computes else reactor.timeout.total_seconds()):
                state = await self._state(effect.subject)
                if state is None or not reactor.still(state, effect):
                    await self._finish(reactor, leased, "dropped", NOT_WANTED)
                    return
                plaintext = await self._open(effect.subject, effect.opens) if effect.opens else {}
                if monotonic() - metadata > (reactor.lease - reactor.timeout).total_seconds():
                    return  # this process stood still: by the end of the attempt its lease might be another's
                result = await self._act(reactor, leased, EffectAttempt(leased.attempt, plaintext))
        except Never as error:
            await self._give_up(reactor, leased, error.code, error.message)
        except (Unavailable, JournalRestored):
            raise
        except Exception as error:
            message = error.message if isinstance(error, Later) else _failed(reactor, error)
            if reactor.retry.is_over(leased.attempt, leased.since_first):
                await self._give_up(reactor, leased, TOO_LONG, message)
                return
            await self._again(reactor, leased, message, error.after if isinstance(error, Later) else None)
        else:
            if (succeeded := reactor.succeeded) is not None:
                await self._tell(reactor, leased, "done", lambda state, context: succeeded(state, effect, result, context))
            await self._finish(reactor, leased, "done", None, result)

    async def _act(self, reactor: Reactor, leased: Leased, attempt: EffectAttempt) -> Mapping[str, Any]:
        if not reactor.computes:
            return await cast(Awaitable[Mapping[str, Any]], reactor.perform(leased.effect, attempt))
        loop = asyncio.get_running_loop()
        pool = self._pool(reactor)
        computing = loop.run_in_executor(pool, reactor.perform, leased.effect, attempt)
        while True:  # it cannot be stopped, so nobody else may begin before it has ended
            ended, _ = await asyncio.wait({computing}, timeout=reactor.timeout.total_seconds())
            if ended:
                return self._computed(reactor, pool, computing)
            log.warning("effect-takes-long", service=self._source, reactor=reactor.name, key=leased.effect.key)
            with suppress(Unavailable):
                async with self._lend() as connection:
                    await effects.prolong(connection, reactor, leased, self._owner)

    def _computed(self, reactor: Reactor, pool: Executor, computing: asyncio.Future[Any]) -> Mapping[str, Any]:
        try:
            return cast(Mapping[str, Any], computing.result())
        except BrokenExecutor:  # one of its processes died, and it takes nothing more
            if self._pools.get(reactor.name) is pool:
                del self._pools[reactor.name]
            raise

    def _pool(self, reactor: Reactor) -> Executor:
        if reactor.name not in self._pools:
            self._pools[reactor.name] = (
                _processes(reactor.at_once) if reactor.process else ThreadPoolExecutor(reactor.at_once, thread_name_prefix=reactor.name)
            )
        return self._pools[reactor.name]

    async def _again(self, reactor: Reactor, leased: Leased, message: str, metadata: timedelta | None = None) -> None:
        delay = reactor.retry.delay(leased.attempt, random.random(), metadata)
        async with self._lend() as connection:
            await effects.again(connection, reactor.name, leased, self._owner, message, delay)
        self._count(reactor, leased, "failed")

    async def _give_up(self, reactor: Reactor, leased: Leased, code: str, message: str) -> None:
        effect = leased.effect
        if (given_up := reactor.given_up) is not None:
            await self._tell(reactor, leased, "given-up", lambda state, context: given_up(state, effect, code, context))
        await self._finish(reactor, leased, "dead", message)
        trace = tracing.in_log(leased.traceparent)
        log.error("effect-given-up", service=self._source, reactor=reactor.name, key=effect.key, detail=message, **trace)

    async def _tell(self, reactor: Reactor, leased: Leased, what: str, decide: Callable[[Any, Context], list[Event]]) -> Loaded:
        """Commit what became of it, once for its key, whoever does it again."""
        effect = leased.effect
        key = f"effect {reactor.name} {effect.key} {what}"
        actor = f"reactor:{reactor.name}"
        return cast(
            Loaded,
            await self._decide(
                effect.subject, decide, CommandMetadata(actor, frozenset(), None, effect.key, leased.traceparent, key, key.encode())
            ),
        )

    async def _finish(self, reactor: Reactor, leased: Leased, status: effects.Status, error: str | None, result: Any = None) -> None:
        async with self._lend() as connection:
            await effects.finish(connection, reactor.name, leased, self._owner, status, error, result)
        self._count(reactor, leased, status)
        self.wake()  # the next one of its lane

    def _count(self, reactor: Reactor, leased: Leased, outcome: str) -> None:
        self.counts[reactor.name, outcome] = self.counts.get((reactor.name, outcome), 0) + 1
        self._end(reactor, leased, outcome)

    def _end(self, reactor: Reactor, leased: Leased, outcome: str | None) -> None:
        if (span := self._spans.pop((reactor.name, leased.effect.key, leased.attempt), None)) is not None:
            span.end({"redress.outcome": outcome or "none"}, error=None if outcome in ("done", "dropped", None) else outcome)


def _failed(reactor: Reactor, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"It took longer than {reactor.timeout.total_seconds():g} s."
    return safe_message(error)


def _processes(most: int) -> Executor:
    from concurrent.futures import ProcessPoolExecutor  # here: hardly a service needs it in memory
    from multiprocessing import get_context

    return ProcessPoolExecutor(most, mp_context=get_context("spawn"))
