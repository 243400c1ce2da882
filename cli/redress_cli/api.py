"""The services over HTTP, as their callers use them: a token for each role, a fresh key for each command."""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

import httpx

from redress_cli.console import fail
from redress_cli.installation import Installation

TRIES = 8
FIRST_PAUSE = 0.2  # seconds, doubled each time
SHORT = 5.0  # seconds that somebody who only looks waits for a service
Told = TypeVar("Told")


class NoAnswer(Exception):
    """A service gives none, or none to us; the message says which and why."""


class Api:
    """An installation's services, asked in one role. A command is sent again under its key while nobody answers, so it happens once;
    where a service has several replicas, to the next one.

    patience: seconds after which a service is given up; without it after so many tries."""

    def __init__(
        self,
        installation: Installation,
        role: str,
        subject: str = "redress-cli",
        department: str | None = None,
        patience: float | None = None,
    ) -> None:
        self._installation = installation
        self._patience = patience
        self._failed: dict[str, int] = {}  # by service, how often one of its replicas gave no answer
        token = installation.token(role, subject, department)
        self._client = client(installation, timeout=10, headers={"authorization": f"Bearer {token}"})

    def get(self, service: str, path: str, **params: Any) -> httpx.Response:
        """Ends the command where nobody answers, as do the others that say nothing else."""
        try:
            return self.ask(service, path, **params)
        except NoAnswer as error:
            fail(str(error))

    def ask(self, service: str, path: str, **params: Any) -> httpx.Response:
        """The same. Raises NoAnswer."""
        return self._asked("GET", service, path, params={name: value for name, value in params.items() if value is not None})

    def post(
        self, service: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """key: the command's idempotency key, a fresh one if none is given."""
        try:
            return self.send(service, path, body, key=key, headers=headers)
        except NoAnswer as error:
            fail(str(error))

    def send(
        self, service: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """The same. Raises NoAnswer."""
        return self._asked(
            "POST",
            service,
            path,
            json=body if body is not None else {},
            headers={"idempotency-key": key or uuid.uuid4().hex, **(headers or {})},
        )

    def all(self, service: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a list, page by page; ends the command on an error."""
        try:
            return self.every(service, path, **params)
        except NoAnswer as error:
            fail(str(error))

    def every(self, service: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """The same. Raises NoAnswer, also for an answer that is an error."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = good(service, self.ask(service, path, limit=200, cursor=cursor, **params))
            items += page["items"]
            cursor = page.get("next")
            if not cursor:
                return items

    def _asked(self, method: str, service: str, path: str, **options: Any) -> httpx.Response:
        pause, urls = FIRST_PAUSE, self._installation.replicas(service, path)
        until = None if self._patience is None else time.monotonic() + self._patience
        if self._patience is not None:
            options["timeout"] = self._patience / len(urls)  # each replica has its turn
        for left in reversed(range(TRIES)):
            url = urls[self._failed.get(service, 0) % len(urls)]
            last = not left or (until is not None and time.monotonic() + pause >= until)
            try:
                answer = self._client.request(method, url + path, **options)
                if answer.status_code == 401:
                    raise NoAnswer(f"{service} does not take the token of {self._installation.name}: {said(answer)}")
                if answer.status_code not in (429, 502, 503, 504) or last:
                    return answer
            except httpx.TransportError as error:
                if last or (until is not None and time.monotonic() >= until):
                    raise NoAnswer(f"{service} does not answer at {url}: {type(error).__name__}. Is it running? redress status") from None
            self._failed[service] = self._failed.get(service, 0) + 1
            time.sleep(pause)
            pause = min(pause * 2, 3.0)
        raise AssertionError("unreachable")


def good(service: str, answer: httpx.Response) -> Any:
    """What a service answered. Raises NoAnswer where that is an error."""
    if answer.status_code != 200:
        raise NoAnswer(f"{service} answered {answer.status_code}: {said(answer)}")
    return answer.json()


def of_each(services: Sequence[str], ask: Callable[[str], Told]) -> Iterator[tuple[str, Told | NoAnswer]]:
    """All are asked at once, and each is told of as it answers: one that stands still keeps nobody waiting for the others."""

    def asked(service: str) -> Told | NoAnswer:
        try:
            return ask(service)
        except NoAnswer as error:
            return error

    with ThreadPoolExecutor(max_workers=max(len(services), 1)) as threads:
        under_way = {threads.submit(asked, service): service for service in services}
        for done in as_completed(under_way):
            yield under_way[done], done.result()


def trust(installation: Installation) -> dict[str, Any]:
    """How an HTTP client reaches its services: it trusts what signs their certificates, and goes through the machine's proxy to those that
    are not on it."""
    beside = installation.own_certificate is not None
    return {"verify": _trusted(installation), "trust_env": not (installation.ours or beside)}


def client(installation: Installation, **options: Any) -> httpx.Client:
    return httpx.Client(**trust(installation), **options)


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
            fail(f"{file} contains no certificate in PEM form, or cannot be read: {error.strerror or error}.")
    return trusted


def said(answer: httpx.Response) -> str:
    """What a service answered that did not do it, or whoever stands before it."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300] or str(answer.status_code)
