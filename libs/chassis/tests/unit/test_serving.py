"""The server of every service: it sleeps until a signal wakes it."""

import signal
import subprocess
import sys
import time
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


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_that_sleeps(tmp_path: Path, told: signal.Signals) -> None:
    (tmp_path / "served.py").write_text(APP)
    (port,) = free_ports(1)
    line = [sys.executable, "-c", SLEEPS_FOR_EVER, "served:app", "--port", str(port)]
    server = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert server.poll() is None
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert answer.status_code == 204 and "date" in answer.headers
        server.send_signal(told)
        assert server.wait(30) in (-told, 0)
    finally:
        server.kill()


def test_an_app_that_cannot_start_ends_with_an_error(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "redress_chassis.serving", "nowhere:app", "--port", "0"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, None) and "nowhere" in done.stderr
