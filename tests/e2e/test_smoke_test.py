"""What `helm test` runs in a cluster, run here against the real system: a complaint goes through all services and is withdrawn."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import httpx
from live import Live, ok
from spine_certificates import Authority

from redress_local.places import ROOT

SCRIPT = ROOT / "deploy/helm/redress/files/smoke_test.py"
WAIT = 60  # seconds that it may take; a test that hangs is ended by pytest


def run(
    live: Live,
    tmp_path: Path,
    role: str = "front-end",
    seconds: int = WAIT,
    ca_file: Path | None = None,
    urls: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    token = tmp_path / "token"
    token.write_text(live.stack.token_issuer().mint(role, "smoke-test") + "\n")
    services = " ".join(f"{name}={url}" for name, url in (dict(live.stack.urls) | dict(urls)).items())
    environment = {"SERVICES": services, "TOKEN_FILE": str(token), "SECONDS_ALLOWED": str(seconds)}
    if ca_file:
        environment["CA_FILE"] = str(ca_file)
    return subprocess.run([sys.executable, "-I", SCRIPT], env=environment, capture_output=True, text=True, check=False)


def test_an_installation_that_works_says_so(live: Live, tmp_path: Path):
    done = run(live, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("It is closed. The installation takes complaints.\n")
    (number,) = re.findall(r"^(\S+) is registered\.$", done.stdout, re.MULTILINE)
    seen = ok(live.agent.get("intake", f"/complaints/by-number/{number}"))
    assert (seen["stage"], seen["closed_as"]) == ("closed", "withdrawn")


def test_one_that_does_not_says_where_it_ends(live: Live, tmp_path: Path):
    refused = run(live, tmp_path, role="bi")
    assert refused.returncode == 1
    assert "was answered 403" in refused.stderr and "wrong-role" in refused.stderr
    away = run(live, tmp_path, seconds=1, urls={"triage": "http://127.0.0.1:9"})
    assert (away.returncode, away.stderr) == (1, "Not in time: triage is ready.\n")


def test_it_goes_through_tls_and_under_a_path_as_from_outside(live: Live, tmp_path: Path):
    authority = Authority(tmp_path)
    with under_a_path(live, authority.issue("front", "127.0.0.1")) as address:
        urls = {service: f"{address}/care/{service}" for service in live.stack.urls}
        done = run(live, tmp_path, ca_file=authority.file, urls=urls)
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("It is closed. The installation takes complaints.\n")
        distrusted = run(live, tmp_path, seconds=1, urls=urls)
        assert (distrusted.returncode, distrusted.stderr) == (1, "Not in time: intake is ready.\n")


@contextmanager
def under_a_path(live: Live, certificate: Path) -> Iterator[str]:
    """The address of a front that speaks TLS, and leads `/care/<service>/…` to the services as an ingress does."""
    urls = dict(live.stack.urls)
    with httpx.Client(timeout=30, trust_env=False) as client:

        class Front(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, place, service, path = self.path.split("/", 3)
                assert place == "care"
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                told = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "content-length")}
                answer = client.request(self.command, f"{urls[service]}/{path}", content=body, headers=told)
                self.send_response(answer.status_code)
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"https://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()
