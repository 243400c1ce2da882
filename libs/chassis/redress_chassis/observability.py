"""What a service is told of how it is to be seen: which build it is, and who collects its spans."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from redress_chassis.environment import FromEnvironment


class ObservabilitySettings(FromEnvironment):
    """All of it is optional."""

    build: str = Field("unknown", pattern=r"^[A-Za-z0-9._+-]{1,100}$")  # the commit, or whatever tells one build from another
    otlp_endpoint: str | None = None  # an http(s) address that takes OTLP; without it no span is made
    otlp_sample: float = Field(1.0, ge=0, le=1)  # which part of the traces that begin here is collected

    @field_validator("build", mode="before")
    @classmethod
    def _empty_is_unknown(cls, value: object) -> object:
        return "unknown" if value == "" else value

    @field_validator("otlp_endpoint")
    @classmethod
    def _of_http(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            parts = urlsplit(value)
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or bool(parts.query or parts.fragment)
        except ValueError:
            wrong = True
        if wrong:
            raise ValueError("It must be the address of a collector that takes OTLP over HTTP, as http://otel-collector:4318.")
        return value.rstrip("/")
