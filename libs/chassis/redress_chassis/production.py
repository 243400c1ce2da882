"""What the production profile refuses, for it is right on one's own machine alone; each thing can be accepted by name.

`REDRESS_ACCEPT=plaintext-kafka,unverified-postgresql` says that somebody has thought of it: a network that encrypts, a proxy beside the
service. It is one variable, so that a look at it tells all that an installation does without.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from urllib.parse import parse_qs, unquote, urlsplit

from redress_chassis.environment import PREFIX

ACCEPTABLE = (
    PLAINTEXT_KAFKA := "plaintext-kafka",
    UNVERIFIED_POSTGRESQL := "unverified-postgresql",
    JWKS_OVER_HTTP := "jwks-over-http",
    DEVELOPMENT_ISSUER := "development-issuer",
    DEFAULT_PASSWORDS := "default-passwords",
    VAULT_OVER_HTTP := "vault-over-http",
    FEW_REPLICAS := "few-replicas",
)
FACTOR, IN_SYNC = 3, 2  # of the topics: with one replica fewer the loss of one broker loses what was acknowledged, or stops everything
PASSWORDS = frozenset({"local-admin", "local-owner", "local-app"})  # of docker-compose.yml
NotForProduction = tuple[str, str, str]  # the variable, what is wrong with it, and by what name it is accepted


def accepted(text: str | None) -> frozenset[str]:
    """The names in REDRESS_ACCEPT. Raises ValueError."""
    names = frozenset(each.strip().lower() for each in (text or "").split(",")) - {""}
    if unknown := sorted(names - set(ACCEPTABLE)):
        raise ValueError(f"{', '.join(unknown)} is nothing that can be accepted; that is {', '.join(ACCEPTABLE)}.")
    return names


def lines(flaws: Iterable[NotForProduction], accept: Collection[str]) -> list[str]:
    """What is not accepted, a line for each."""
    return [
        f"{PREFIX}{variable}: {why} It is refused in the production profile; {PREFIX}ACCEPT={name} accepts it."
        for variable, why, name in flaws
        if name not in accept
    ]


def of_kafka(security: str, token_url: str | None, password: str | None) -> Iterator[NotForProduction]:
    if security in ("PLAINTEXT", "SASL_PLAINTEXT"):
        yield "KAFKA_SECURITY", f"It is {security}: anybody on the network path can read and change what goes to Kafka.", PLAINTEXT_KAFKA
    if token_url and token_url.startswith("http://"):
        yield "KAFKA_TOKEN_URL", "It is http: anybody on the network path can read the client's secret.", PLAINTEXT_KAFKA
    yield from of_password("KAFKA_PASSWORD", password)


def of_topics(factor: int, in_sync: int) -> Iterator[NotForProduction]:
    """How often Kafka keeps the topics that are made."""
    if factor < FACTOR:
        yield "REPLICATION_FACTOR", f"It is {factor}: the log is lost with so many brokers, and it is all that there is.", FEW_REPLICAS
    yield from of_replicas(in_sync)


def of_replicas(in_sync: int) -> Iterator[NotForProduction]:
    """How many replicas must have a record before it is acknowledged."""
    if in_sync < IN_SYNC:
        yield "MIN_INSYNC_REPLICAS", f"It is {in_sync}: what was acknowledged is lost with one broker.", FEW_REPLICAS


def of_database(variable: str, address: str, password: str | None = None) -> Iterator[NotForProduction]:
    """password: that of a file, where the address has none."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    mode = query.get("sslmode", ["not set"])[-1]
    if mode != "verify-full" and query.get("sslrootcert", [""])[-1] != "system" and not _by_socket(address):
        why = (
            f"Its sslmode is {mode}: anybody on the network path can pose as the server. Let it end with ?sslmode=verify-full&sslrootcert=…"
        )
        yield variable, why, UNVERIFIED_POSTGRESQL
    yield from of_password(variable, unquote(parts.password) if parts.password else password)


def of_password(variable: str, password: str | None) -> Iterator[NotForProduction]:
    if password in PASSWORDS:
        yield variable, "Its password is one that everybody can read in docker-compose.yml.", DEFAULT_PASSWORDS


def of_issuer(jwks: str, issuer: str, introspection_url: str | None = None) -> Iterator[NotForProduction]:
    if jwks.startswith("http://"):
        yield "JWKS", "It is http: anybody on the network path can supply keys of their own, and sign tokens with them.", JWKS_OVER_HTTP
    if introspection_url and introspection_url.startswith("http://"):
        yield "INTROSPECTION_URL", "It is http: anybody on the network path can read tokens, and say which are valid.", JWKS_OVER_HTTP
    host = urlsplit(issuer).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        yield "ISSUER", "It is the development issuer: anybody who has its key can pose as any caller.", DEVELOPMENT_ISSUER


def of_vault(url: str | None) -> Iterator[NotForProduction]:
    if url and url.startswith("http://"):
        yield "VAULT_URL", "It is http: anybody on the network path can read the token, and with it the master keys.", VAULT_OVER_HTTP


def _by_socket(address: str) -> bool:
    """No network is between, where every host is a folder of this machine."""
    parts = urlsplit(address)
    named = parse_qs(parts.query).get("host", [unquote(parts.netloc.rpartition("@")[2])])[-1]
    return bool(named) and all(each.startswith("/") for each in named.split(","))
