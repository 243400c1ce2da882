"""Load for one HTTP service on this machine, from a process of its own: a fixed number of clients, or a steady rate.

Written against the bytes, so that one core's generator offers several times what a service of one worker takes. `drive` starts it and
returns what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import uuid
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

HERE = Path(__file__).resolve().parents[1]

LENGTH = b"content-length: "
END = b"\r\n\r\n"
ANSWER_TIMEOUT = 15.0  # seconds for what is under way when the time is over


@dataclass
class Load:
    """clients: each sends its next request when the last was answered. rate: requests a second instead, on as many connections as it needs.
    bodies are sent in turn; `keyed` gives each request an Idempotency-Key of its own. most: requests, after which nobody sends any more."""

    url: str
    bodies: list[str]
    seconds: float
    clients: int = 32
    rate: float | None = None
    token: str | None = None
    keyed: bool = True
    most: int | None = None


@dataclass
class Measured:
    """seconds: from the first request to the last answer. latencies in seconds, of answers with the wanted status."""

    answers: int = 0
    others: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    example: str = ""  # of an answer with another status

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


def drive(load: Load) -> Measured:
    """Run the generator in a process of its own. Raises RuntimeError where answers are missing or not 201."""
    line = [sys.executable, "-m", "redress_bench.load"]
    ran = subprocess.run(
        line,
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        timeout=load.seconds + ANSWER_TIMEOUT + 15,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE)},
    )
    if ran.returncode != 0:
        raise RuntimeError(f"The load generator ended with {ran.returncode}: {ran.stderr[-500:]}")
    seen = Measured(**json.loads(ran.stdout))
    if seen.others or not seen.answers:
        raise RuntimeError(f"{seen.others} answers of {seen.others + seen.answers} were not 201: {seen.example}")
    return seen


class LoadClient(asyncio.Protocol):
    """One connection with one request under way at most."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._run.ready(self)

    def send(self, request: bytes, began: float) -> None:
        assert self._transport is not None
        self._began = began
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(END)
        if end < 0:
            return
        at = self._buffer.find(LENGTH)
        length = int(self._buffer[at + len(LENGTH) : self._buffer.index(b"\r", at)])
        if len(self._buffer) < end + len(END) + length:
            return
        answer, self._buffer = self._buffer, b""
        self._run.answered(self, answer, self._began)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.gone()


class Run:
    """One measurement."""

    def __init__(self, load: Load) -> None:
        parts = urlsplit(load.url)
        self.address = parts.hostname or "127.0.0.1", parts.port or 80
        self._load = load
        self._head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n".encode()
        if load.token:
            self._head += f"authorization: Bearer {load.token}\r\n".encode()
        self._bodies = [b"content-length: %d\r\n\r\n%s" % (len(each.encode()), each.encode()) for each in load.bodies]
        self._idle: deque[LoadClient] = deque()
        self._waiting: deque[float] = deque()  # instants at which a request should have been sent
        self._name = uuid.uuid4().hex[:12]
        self._sent = 0
        self._under_way = 0
        self._ends = 0.0
        self._done = asyncio.Event()
        self.seen = Measured()

    async def run(self) -> Measured:
        loop = asyncio.get_running_loop()
        for _ in range(self._load.clients):
            await loop.create_connection(lambda: LoadClient(self), *self.address)
        began = time.perf_counter()
        self._ends = began + self._load.seconds
        if self._load.rate is None:
            for client in [*self._idle]:
                self._next(client)
        else:
            await self._steadily(began, self._load.rate)
        async with asyncio.timeout(max(0.0, self._ends - time.perf_counter()) + ANSWER_TIMEOUT):
            await self._done.wait()
        self.seen.seconds = time.perf_counter() - began
        return self.seen

    async def _steadily(self, began: float, rate: float) -> None:
        """Each request has its instant, whether or not earlier ones were answered."""
        for n in range(int(self._load.seconds * rate)):
            at = began + n / rate
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            if self._idle:
                self._send(self._idle.popleft(), at)
            else:
                self._waiting.append(at)
        self._ends = time.perf_counter()
        if not self._under_way and not self._waiting:
            self._done.set()

    def _send(self, client: LoadClient, at: float) -> None:
        key = b"idempotency-key: %s-%d\r\n" % (self._name.encode(), self._sent) if self._load.keyed else b""
        client.send(self._head + key + self._bodies[self._sent % len(self._bodies)], at)
        self._sent += 1
        self._under_way += 1

    def ready(self, client: LoadClient) -> None:
        self._idle.append(client)

    def answered(self, client: LoadClient, answer: bytes, began: float) -> None:
        now = time.perf_counter()
        self._under_way -= 1
        if answer.startswith(b"HTTP/1.1 201 "):
            self.seen.answers += 1
            self.seen.latencies.append(now - began)
        else:
            self.seen.others += 1
            self.seen.example = answer[:400].decode("utf-8", "replace")
        if self._load.rate is None:
            if now < self._ends:
                self._next(client)
        elif self._waiting:
            self._send(client, self._waiting.popleft())
        else:
            self._idle.append(client)
        if (now >= self._ends or self._sent == self._load.most) and not self._under_way and not self._waiting:
            self._done.set()

    def _next(self, client: LoadClient) -> None:
        if self._load.most is None or self._sent < self._load.most:
            self._send(client, time.perf_counter())

    def gone(self) -> None:
        if not self._done.is_set():
            self.seen.others += 1
            self.seen.example = "The connection was closed."
            self._done.set()


async def main() -> None:
    print(json.dumps(asdict(await Run(Load(**json.load(sys.stdin))).run())))


if __name__ == "__main__":
    uvloop.run(main())
