"""Partitions of a new state filled by one more process, for a rebuild is bound by what one core of Python folds.

It is asked over a pipe for one partition after the other, with the journal's rows of it, and answers with what it observed. It ends with
the process that began it, however that ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import connection, get_context, parent_process
from typing import Any

from aiokafka import TopicPartition

from redress_spine.admin.filling import FillingPlan, PartitionRead, without_collecting
from redress_spine.aggregate import Verified

MOST = 3  # of them: PostgreSQL and Kafka want cores too
EACH = 40_000  # records of the log that are worth one more: it starts in a second, in which one folds some 20,000


def worth(records: int) -> int:
    """How many more processes a log of so many records is worth on this machine."""
    return min(MOST, cores() - 1, records // EACH)


def cores() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class FillingProcess:
    """Begun at once, so that it imports what the service is made of while there is no plan yet."""

    def __init__(self, service: Verified) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(service, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def plan(self, plan: FillingPlan) -> None:
        """What it fills; said before the first partition."""
        with suppress(ConnectionError):  # it has died, as the first partition will show
            # replace: without what the clients have loaded of their certificates, which no other process can be given
            self._pipe.send(replace(plan, kafka=replace(plan.kafka)))

    async def fill(self, place: TopicPartition, journal: list[bytes]) -> PartitionRead:
        """As `Filling.fill`. Raises what that raises, and ChildProcessError where the process has died."""
        try:
            answer = await asyncio.to_thread(self._ask, (place, journal))
        except (EOFError, ConnectionError) as error:
            self._process.join()
            raise ChildProcessError(
                f"A process that filled partitions ended with {self._process.exitcode} (-9: somebody killed it, or memory was short)."
            ) from error
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, PartitionRead), answer
        return answer

    def _ask(self, question: tuple[TopicPartition, list[bytes]]) -> Any:
        with suppress(ConnectionError):  # it has ended, and said before what went wrong
            self._pipe.send(question)
        return self._pipe.recv()

    def end(self) -> None:
        """Whatever it does. What it copied is in a schema that never becomes live then."""
        self._process.kill()
        self._process.join()


def _serve(service: Verified, pipe: connection.Connection) -> None:
    assert service.aggregates  # all that they are made of is imported now
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who began this ends it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError):  # nothing more is wanted
        asyncio.run(_fill(pipe.recv(), pipe))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


async def _fill(plan: FillingPlan, pipe: connection.Connection) -> None:
    try:
        async with plan.opened() as filling:
            with without_collecting():
                while True:
                    place, journal = await asyncio.to_thread(pipe.recv)
                    pipe.send(await filling.fill(place, partial(iter, journal), lambda records: None))
    except EOFError:
        raise
    except Exception as error:
        pipe.send(error)
