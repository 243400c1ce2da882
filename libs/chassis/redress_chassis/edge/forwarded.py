"""Under which path a proxy shows the service: what the proxy says of it, and the links in answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Annotated

from pydantic import Field, PlainSerializer
from starlette.types import ASGIApp, Receive, Scope, Send

from redress_chassis.http_settings import PLACE_OF_PATH

PREFIX = b"x-forwarded-prefix"
ROOT: ContextVar[str] = ContextVar("root", default="")  # of the request that is being answered
PathLink = Annotated[
    str,
    Field(description="A path at the address that the request was sent to, with what a proxy has in front of it."),
    PlainSerializer(lambda path: ROOT.get() + path, return_type=str),
]


class ForwardedPrefix:
    """Believes `X-Forwarded-Prefix` from these addresses: the path that the proxy took away. It goes before the setting. It stands around
    what replaces the proxy's address by the caller's."""

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        self._app = app
        self._trusted = [ipaddress.ip_network(each) for each in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (said := dict(scope["headers"]).get(PREFIX)) and self._trusts(scope):
            prefix = said.decode("latin-1")
            if PLACE_OF_PATH.fullmatch(prefix):
                root = scope["root_path"]
                path, raw = scope["path"].removeprefix(root), scope["raw_path"].removeprefix(root.encode())
                scope = {**scope, "root_path": prefix, "path": prefix + path, "raw_path": prefix.encode() + raw}
        await self._app(scope, receive, send)

    def _trusts(self, scope: Scope) -> bool:
        if not scope["client"]:
            return False
        address = ipaddress.ip_address(scope["client"][0])
        return any(address in network for network in self._trusted)
