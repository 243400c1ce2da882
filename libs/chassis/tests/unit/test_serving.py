"""The server of every service: it sleeps until a signal wakes it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from redress_local.places import free_ports

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
"""
SLEEPS_FOR_EVER = "import sys, redress_chassis.serving as serving; serving.TICK = 86_400.0; sys.exit(serving.main(sys.argv[1:]))"


@contextmanager
def process(folder: Path, *line: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server of the app above, and its port. line: what Python runs."""
    (folder / "served.py").write_text(APP)
    (port,) = free_ports(1)
    command = [sys.executable, *line, "served:app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=os.environ | environment)
    try:
        while True:
            assert server.poll() is None
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert answer.status_code == 204 and "date" in answer.headers
        yield server, port
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_that_sleeps(tmp_path: Path, told: signal.Signals) -> None:
    with process(tmp_path, "-c", SLEEPS_FOR_EVER) as (server, _):
        server.send_signal(told)
        assert server.wait(30) in (-told, 0)


def test_the_limits_hold_in_the_loop_that_every_installation_has(tmp_path: Path) -> None:
    """The other tests of connections run in asyncio's own."""
    short = {"REDRESS_HEADER_SECONDS": "1", "REDRESS_IDLE_SECONDS": "1", "REDRESS_MAX_CONNECTIONS": "20"}
    with process(tmp_path, "-m", "redress_chassis.serving", **short) as (_, port):

        def answer(*pieces: bytes) -> bytes:
            """All that comes until the other side closes, or b"" where it breaks off."""
            with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
                try:
                    for piece in pieces:
                        wire.sendall(piece)
                    return b"".join(iter(lambda: wire.recv(65536), b""))
                except ConnectionError:
                    return b""

        begun = b"GET / HTTP/1.1\r\nX: "
        assert answer(begun, b"x" * 40_000).startswith(b"HTTP/1.1 431 ")
        assert answer(begun, *[b"x" * 1024 * 1024] * 128) == b"", "it is not taken to its end"
        assert answer(begun).startswith(b"HTTP/1.1 408 ")
        assert answer(b"nothing\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert answer(begun + b"\r\n\r\n").startswith(b"HTTP/1.1 204 "), "and then it is closed"
        with ExitStack() as wires:
            for _ in range(30):
                wires.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)).sendall(begun)
            assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=60).status_code == 204


def test_an_app_that_cannot_start_ends_with_an_error(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "redress_chassis.serving", "nowhere:app", "--port", "0"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, None) and "nowhere" in done.stderr
