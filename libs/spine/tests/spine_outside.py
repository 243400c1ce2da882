"""The outside world of the spine's tests: another side that is asked over HTTP to open cases, and the reactor that asks it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from spine_stack import Toy

from redress_events.contracts.handling import CaseOpened
from redress_events.event import Event
from redress_spine.aggregate import Context
from redress_spine.processing.reactor import Effect, EffectAttempt, Later, Reactor, Retry

SOON = Retry(first=timedelta(milliseconds=50), longest=timedelta(milliseconds=200), attempts=4)


def wanted(toy: Toy, known: Any, context: Context) -> list[Effect]:
    return [Effect(f"open {context.subject.partition('/')[2]}", context.subject, {"cycle": 1}, target="desk")]


def opened(toy: Toy, effect: Effect, result: Mapping[str, Any], context: Context) -> list[Event]:
    return [CaseOpened(cycle=1, routing=1, department=result["department"])]


def opening(address: str, **how: Any) -> Reactor:
    """Has the other side open a case for each complaint that was registered."""

    async def perform(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(f"{address}/{effect.key.replace(' ', '/')}", timeout=None)
        if answer.status_code != 200:
            raise Later(f"The desk answered {answer.status_code}.")
        return {"department": answer.text}

    return replace(OPENING, perform=perform, **how)


async def _nowhere(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
    raise Later("There is no desk.")


def where_it_runs(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
    return {"department": f"{os.getpid()} {threading.current_thread() is threading.main_thread()}"}


def dies_once(effect: Effect, attempt: EffectAttempt) -> Mapping[str, Any]:
    died = Path(effect.data["died"])
    if not died.exists():
        died.touch()
        os._exit(1)
    return {"department": "network"}


OPENING = Reactor(
    "opening",
    due="observed ? 'registered_at' AND NOT own ? 'opened'",
    index="state_pkey",
    wanted=wanted,
    perform=_nowhere,
    succeeded=opened,
    timeout=timedelta(seconds=2),
    retry=SOON,
)


@dataclass
class Desk:
    """The other side. answers(key, times): what it does when it is asked for the n-th time: a status, or it may wait or raise."""

    address: str = ""
    answers: Callable[[str, int], Awaitable[int]] | None = None
    metadata: Counter[str] = field(default_factory=Counter)
    at_once: Counter[str] = field(default_factory=Counter)
    overlaps: list[str] = field(default_factory=list)
    most: int = 0  # effects that were under way together

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = ""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = head.split(" ")[1].strip("/")
            self.metadata[key] += 1
            self.at_once[key] += 1
            self.most = max(self.most, sum(self.at_once.values()))
            if self.at_once[key] > 1:
                self.overlaps.append(key)
            status = await self.answers(key, self.metadata[key]) if self.answers else 200
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 7\r\nconnection: close\r\n\r\nnetwork".encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            if key:
                self.at_once[key] -= 1
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
