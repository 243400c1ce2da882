"""The services over HTTP, as their callers use them: a token for each role, a fresh key for each command."""

from __future__ import annotations

import ssl
import time
import uuid
from typing import Any

import httpx

from redress_cli.console import fail
from redress_cli.installation import Installation

TRIES = 8
FIRST_PAUSE = 0.2  # seconds, doubled each time


class Api:
    """An installation's services, asked in one role. A command is sent again under its key while nobody answers, so it happens once;
    where a service has several replicas, to the next one."""

    def __init__(self, installation: Installation, role: str, subject: str = "redress-cli", department: str | None = None) -> None:
        self._installation = installation
        self._failed: dict[str, int] = {}  # by service, how often one of its replicas gave no answer
        token = installation.token(role, subject, department)
        self._client = client(installation, timeout=10, headers={"authorization": f"Bearer {token}"})

    def get(self, service: str, path: str, **params: Any) -> httpx.Response:
        return self._asked("GET", service, path, params={name: value for name, value in params.items() if value is not None})

    def post(
        self, service: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """key: the command's idempotency key, a fresh one if none is given."""
        return self._asked(
            "POST",
            service,
            path,
            json=body if body is not None else {},
            headers={"idempotency-key": key or uuid.uuid4().hex, **(headers or {})},
        )

    def all(self, service: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a list, page by page; ends the command on an error."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            answer = self.get(service, path, limit=200, cursor=cursor, **params)
            if answer.status_code != 200:
                fail(f"{service} answered {answer.status_code}: {said(answer)}")
            page = answer.json()
            items += page["items"]
            cursor = page.get("next")
            if not cursor:
                return items

    def _asked(self, method: str, service: str, path: str, **options: Any) -> httpx.Response:
        pause, urls = FIRST_PAUSE, self._installation.replicas(service, path)
        for left in reversed(range(TRIES)):
            url = urls[self._failed.get(service, 0) % len(urls)]
            try:
                answer = self._client.request(method, url + path, **options)
                if answer.status_code == 401:
                    fail(f"{service} does not take the token of {self._installation.name}: {said(answer)}")
                if answer.status_code not in (429, 502, 503, 504) or not left:
                    return answer
            except httpx.TransportError as error:
                if not left:
                    fail(f"{service} does not answer at {url}: {type(error).__name__}. Is it running? redress status")
            self._failed[service] = self._failed.get(service, 0) + 1
            time.sleep(pause)
            pause = min(pause * 2, 3.0)
        raise AssertionError("unreachable")


def client(installation: Installation, **options: Any) -> httpx.Client:
    """Trusts what signs the services' certificates, and goes through the machine's proxy to those that are not on it."""
    beside = installation.own_certificate is not None
    return httpx.Client(verify=_trusted(installation), trust_env=not (installation.ours or beside), **options)


def _trusted(installation: Installation) -> ssl.SSLContext:
    trusted = ssl.create_default_context()
    file = installation.own_certificate or installation.ca_file
    if installation.own_certificate:  # it is asked at 127.0.0.1, which stands in no certificate: this one alone, and not who signed it
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusted.check_hostname = False
        trusted.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if file:
        try:
            trusted.load_verify_locations(file)
        except OSError as error:
            fail(f"{file} holds no certificate in PEM form, or cannot be read: {error.strerror or error}.")
    return trusted


def said(answer: httpx.Response) -> str:
    """What a service answered that did not do it, or whoever stands before it."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300] or str(answer.status_code)
