"""The services over HTTP, as their callers use them: a token for each role, a fresh key for each command."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx

from redress_cli.console import fail
from redress_local.state import Stack

TRIES = 8
FIRST_PAUSE = 0.2  # seconds, doubled each time


class Api:
    """The running stack's services, asked in one role. A command is sent again under its key while nobody answers, so it happens once;
    where a service has several replicas, to the next one."""

    def __init__(self, stack: Stack, role: str, subject: str = "redress-cli", department: str | None = None) -> None:
        self._urls = {service: [first, *stack.further_urls.get(service, ())] for service, first in stack.urls.items()}
        self._token = stack.token_issuer().mint(role, subject, department=department, ttl=12 * 3600)
        self._client = httpx.Client(timeout=10, trust_env=False, headers={"authorization": f"Bearer {self._token}"})

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
                fail(f"{service} answered {answer.status_code}: {answer.json().get('detail', answer.text[:200])}")
            page = answer.json()
            items += page["items"]
            cursor = page.get("next")
            if not cursor:
                return items

    def _asked(self, method: str, service: str, path: str, **options: Any) -> httpx.Response:
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            urls = self._urls[service]
            try:
                answer = self._client.request(method, urls[0] + path, **options)
                if answer.status_code not in (502, 503, 504) or not left:
                    return answer
            except httpx.TransportError as error:
                if not left:
                    fail(f"{service} does not answer at {urls[0]}: {type(error).__name__}. Is it running? redress status")
            self._urls[service] = [*urls[1:], urls[0]]
            time.sleep(pause)
            pause = min(pause * 2, 3.0)
        raise AssertionError("unreachable")
