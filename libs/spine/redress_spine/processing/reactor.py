"""What a reactor is: the only place where a service acts on the outside world, or computes for long.

State says what is due. `wanted` says, purely, which effects that makes; each has a key that stays the same however often it is wanted.
`perform` acts, outside any transaction (`redress_spine.processing.performing`). What came of it becomes events by `succeeded`, or stays
in the row of the effect where it is nobody's business on the log.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redress_events.event import Event
from redress_spine.aggregate import Context

if TYPE_CHECKING:
    from redress_spine.store.states import Connection, Row

LEASE_MARGIN = timedelta(seconds=20)  # a lease outlasts the time limit of its effect by so much: to write down what came of it


class Later(Exception):
    """It did not work now. The message is ours, and quotes nobody. after: the other side asked to be left alone for so long."""

    def __init__(self, message: str, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.after = after


class Never(Exception):
    """It will never work: it is not tried again. code: for programs, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Effect:
    """Something wanted of the outside world.

    key: the same need has the same key, in whatever process and after whatever rebuild; the other side gets it.
    subject: whose state `still`, `succeeded` and `given_up` are asked on. data: becomes JSON; nothing personal.
    lane: effects of one lane are done one after the other, in the order in which they were wanted. Without one it waits for nobody.
    target: what may be slow or away. opens: references of the subject's personal fields that are needed to do it.
    """

    key: str
    subject: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lane: str = ""
    target: str = ""
    opens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectAttempt:
    """number: 1, 2, 3 … . plaintext: the opened personal fields, by reference."""

    number: int
    plaintext: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """When what failed is tried again: after `first`, then after twice as long each time, up to `longest`; of each delay at least half, and
    of the other half any part, so that those that failed together do not come back together. It is given up `give_up` after the first
    attempt, or after so many attempts."""

    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=1)
    give_up: timedelta = timedelta(days=1)
    attempts: int = 1_000

    def delay(self, attempt: int, entropy: float, asked: timedelta | None = None) -> timedelta:
        """After this attempt (1, 2, 3 …). entropy: at least 0, below 1. asked: what the other side asked for; it is waited for, though no
        longer than `longest`, or the other side could have it forgotten."""
        doubled: int = 2 ** min(attempt - 1, 20)
        whole = min(self.first * doubled, self.longest)
        jittered = min(whole / 2 + whole / 2 * entropy, whole)  # both halves may be rounded up, to microseconds
        return max(jittered, min(asked or timedelta(), self.longest))

    def is_over(self, attempt: int, since_first: timedelta) -> bool:
        """Whether this attempt was the last one."""
        return attempt >= self.attempts or since_first >= self.give_up


Perform = Callable[[Effect, EffectAttempt], Awaitable[Mapping[str, Any]]] | Callable[[Effect, EffectAttempt], Mapping[str, Any]]


def _always(state: Any, effect: Effect) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Reactor:
    """Effects that a service's state makes due.

    due, index, at: as of `Automation`; due is false once the event of `succeeded` is folded, or the row of `forget` is gone.
    wanted(state, known, context): the effects, purely. known: what `look` read beside the state, by subject, None without it.
    perform(effect, attempt): acts, and answers what becomes JSON; raises Later, Never, or anything else, which is tried again. A coroutine
    runs in the service's own loop. A plain function is for what computes: it runs in a thread, or in a process of its own (`process`),
    and must not wait for others: nobody can stop it, so its lease is prolonged until it ends.
    still(state, effect): whether it is wanted yet, asked just before it is done.
    succeeded(state, effect, result, context), given_up(state, effect, code, context): events about the effect's subject. Without
    `succeeded` the result stays in the effect's row. code: that of Never, or `tried-too-long`.
    sweep(connection): takes away, in one statement before each look, what made rows due that nobody wants anything of.
    forget(connection, subjects, known): takes what made rows due away, in the transaction that keeps their effects. A reactor without it
    looks at each revision of a row once.
    at_once: effects in one replica; per_target: of them, in all replicas, for one target. timeout: of one attempt.
    keep: how long what is finished can be seen, and is known by its key.
    """

    name: str
    due: str
    index: str
    wanted: Callable[[Any, Any, Context], list[Effect]]
    perform: Perform
    at: str | None = None
    still: Callable[[Any, Effect], bool] = _always
    succeeded: Callable[[Any, Effect, Mapping[str, Any], Context], list[Event]] | None = None
    given_up: Callable[[Any, Effect, str, Context], list[Event]] | None = None
    look: Callable[[Connection, Sequence[Row]], Awaitable[Mapping[str, Any]]] | None = None
    sweep: Callable[[Connection], Awaitable[None]] | None = None
    forget: Callable[[Connection, Sequence[str], Mapping[str, Any]], Awaitable[None]] | None = None
    timeout: timedelta = timedelta(seconds=10)
    retry: Retry = Retry()
    at_once: int = 8
    per_target: int = 4
    process: bool = False
    keep: timedelta = timedelta(days=30)

    @property
    def lease(self) -> timedelta:
        return self.timeout + LEASE_MARGIN

    @property
    def computes(self) -> bool:
        """It is a plain function, and runs beside the loop that serves HTTP."""
        call = self.perform if inspect.isfunction(self.perform) or inspect.ismethod(self.perform) else type(self.perform).__call__
        return not inspect.iscoroutinefunction(call)
