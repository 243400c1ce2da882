"""A fake of HashiCorp Vault, and no Vault: the few calls of its transit engine and its tokens that we make, as its documentation has them.

https://developer.hashicorp.com/vault/api-docs/secret/transit (encrypt, decrypt, rewrap) and /auth/token (lookup-self, renew-self). Each
answer says who it is in the header `Server`. A test sets what is wrong with it.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


@dataclass
class FakeToken:
    """ttl: seconds of each lease; 0 for one without an end. most: how long it may be renewed for."""

    ttl: float = 3600
    renewable: bool = True
    most: float = float("inf")
    begun: float = field(default_factory=time.monotonic)
    ends: float = 0.0
    renewed: int = 0

    def __post_init__(self) -> None:
        self.ends = self.begun + self.ttl if self.ttl else float("inf")

    @property
    def left(self) -> int:
        return round(self.ends - time.monotonic()) if self.ttl else 0

    def renew(self) -> None:
        self.renewed += 1
        self.ends = min(time.monotonic() + self.ttl, self.begun + self.most)


class FakeVault:
    """url: where it answers. calls: method and path of each, in order. certificate: with its key, for TLS."""

    def __init__(self, certificate: Path | None = None, namespace: str = "", mount: str = "transit", key: str = "redress") -> None:
        self.tokens = {"s.first": FakeToken()}
        self.namespace = namespace
        self.mount, self.key = mount, key
        self.versions = [AESGCM.generate_key(256)]
        self.sealed = False
        self.broken: int | None = None  # what it answers to everything
        self.calls: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            server_version = "FakeVault (no Vault: a test's fake of it)"
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET", {})

            def do_POST(self) -> None:
                self._answer("POST", json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}"))

            def _answer(self, method: str, body: dict[str, Any]) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, said = fake.answer(method, self.path.removeprefix("/v1/"), body, headers)
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """A new version of its key: what older ones sealed is opened still."""
        self.versions.append(AESGCM.generate_key(256))

    def answer(self, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.calls.append(f"{method} {path}")
        if self.broken is not None:
            return self.broken, {"errors": ["broken by the test"]}
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        token = self.tokens.get(headers.get("x-vault-token", ""))
        if token is None or time.monotonic() >= token.ends or headers.get("x-vault-namespace", "") != self.namespace:
            return 403, {"errors": ["permission denied"]}
        if (method, path) == ("GET", "auth/token/lookup-self"):
            return 200, {"data": {"ttl": token.left, "renewable": token.renewable}}
        if (method, path) == ("POST", "auth/token/renew-self"):
            if not token.renewable:
                return 400, {"errors": ["lease is not renewable"]}
            token.renew()
            return 200, {"auth": {"lease_duration": token.left, "renewable": token.renewable}}
        return self._transit(method, path, body)

    def _transit(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if method != "POST":
            return 405, {"errors": ["unsupported operation"]}
        match path.removeprefix(f"{self.mount}/").split("/"):
            case ["encrypt", self.key]:
                return 200, {"data": {"ciphertext": self._seal(b64decode(body["plaintext"])), "key_version": len(self.versions)}}
            case ["decrypt" | "rewrap" as what, self.key]:
                if (plaintext := self._open(body["ciphertext"])) is None:
                    return 400, {"errors": ["cipher: message authentication failed"]}
                if what == "decrypt":
                    return 200, {"data": {"plaintext": b64encode(plaintext).decode()}}
                return 200, {"data": {"ciphertext": self._seal(plaintext), "key_version": len(self.versions)}}
        return 404, {"errors": []}

    def _seal(self, plaintext: bytes) -> str:
        nonce = os.urandom(12)
        blob = nonce + AESGCM(self.versions[-1]).encrypt(nonce, plaintext, None)
        return f"vault:v{len(self.versions)}:{b64encode(blob).decode()}"

    def _open(self, ciphertext: str) -> bytes | None:
        try:
            _, version, text = ciphertext.split(":")
            blob = b64decode(text)
            return AESGCM(self.versions[int(version[1:]) - 1]).decrypt(blob[:12], blob[12:], None)
        except (ValueError, IndexError, InvalidTag):
            return None
