"""How a service is reached over HTTP, as the environment tells it: behind which proxy, with which certificate, and within which limits."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from redress_chassis.environment import FromEnvironment, read

PLACE_OF_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class HttpSettings(FromEnvironment):
    """All of it is optional. What names a list has its entries between commas."""

    root_path: str | None = None  # under which a proxy shows the service; the proxy takes it away
    trusted_proxies: str | None = None  # addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are believed
    cors_origins: str | None = None  # whose pages' programs may call
    tls_cert_file: Path | None = None  # in PEM form, with the certificates between it and an authority, as the next
    tls_key_file: Path | None = Field(None, validate_default=True)
    ops_port: int | None = Field(None, ge=1, le=65535)  # of /metrics, /docs, /openapi.json and /ops; without it the service's own
    caller_rate: float = Field(500.0, ge=0, le=1e6)  # requests a second of one caller to one process; 0: without a limit
    caller_burst: PositiveInt = 2_000  # requests of one caller at once, before that rate
    max_connections: PositiveInt = 1_000  # to one port of one process
    max_header_bytes: int = Field(32 * 1024, ge=1024, le=1024 * 1024)  # the request line and all headers of a request
    max_headers: int = Field(100, ge=10, le=10_000)
    header_seconds: float = Field(10.0, gt=0, le=600)  # from a request's first byte to the end of its headers
    body_seconds: float = Field(30.0, gt=0, le=3600)  # for the whole body to come, and for the caller to take an answer
    idle_seconds: PositiveInt = 75  # between two requests of one connection; longer than a proxy keeps it

    @field_validator("root_path", "trusted_proxies", "cors_origins", "tls_cert_file", "tls_key_file", "ops_port", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("root_path")
    @classmethod
    def _of_a_path(cls, value: str | None) -> str | None:
        if value is not None and not PLACE_OF_PATH.fullmatch(value):
            raise ValueError("It must be a path like /intake, without a slash at its end.")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _of_addresses(cls, value: str | None) -> str | None:
        for each in _entries(value):
            try:
                network = ipaddress.ip_network(each)
            except ValueError:
                raise ValueError("Each entry must be an IP address, or a network like 10.0.0.0/8 whose last bits are 0.") from None
            if network.prefixlen == 0:
                raise ValueError("It includes every address, so any caller could claim to be another.")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _of_origins(cls, value: str | None) -> str | None:
        for each in _entries(value):
            parts = urlsplit(each)
            if parts.scheme not in ("https", "http") or not parts.netloc or each != f"{parts.scheme}://{parts.netloc}" or "*" in each:
                raise ValueError("Each entry must be an origin like https://console.example.com, without a path; * is none.")
        return value

    @field_validator("tls_cert_file")
    @classmethod
    def _can_be_read(cls, path: Path | None) -> Path | None:
        if path is not None:
            read(path)
        return path

    @field_validator("tls_key_file")
    @classmethod
    def _of_the_certificate(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if "tls_cert_file" not in others.data:
            return path  # that it is wrong is said already
        certificate = others.data["tls_cert_file"]
        if path is not None and certificate is None:
            raise ValueError("It belongs to a certificate, and REDRESS_TLS_CERT_FILE is not set.")
        if path is not None:
            read(path)
        if certificate is not None:
            try:
                server_tls(certificate, path)
            except ssl.SSLError:
                raise ValueError(
                    "REDRESS_TLS_CERT_FILE contains no certificate in PEM form, or there is no private key without a passphrase for it."
                ) from None
        return path

    @property
    def proxies(self) -> list[str]:
        return _entries(self.trusted_proxies)

    @property
    def origins(self) -> list[str]:
        return _entries(self.cors_origins)


def server_tls(cert_file: Path, key_file: Path | None) -> ssl.SSLContext:
    """What a server shows itself by: TLS 1.2 or 1.3, with the ciphers that Python takes for safe.

    Raises OSError (ssl.SSLError) where a file cannot be read, is no PEM, or where key and certificate do not belong together. A key with a
    passphrase is refused."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file, password="")
    return context


def _entries(value: str | None) -> list[str]:
    return [each for part in (value or "").split(",") if (each := part.strip())]
