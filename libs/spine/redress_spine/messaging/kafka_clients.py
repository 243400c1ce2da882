"""The one place where clients of Kafka are made: how its brokers are reached, who asks them, and which certificates are trusted.

Certificates, passwords and tokens that stand in files are read again once they are others: see `kafka_tls` and `kafka_tokens`. What else a
client must do (timeouts, sizes, where it begins to read) is said by whoever uses it.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, get_args

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from redress_spine.messaging.kafka_tls import RenewedContext
from redress_spine.messaging.kafka_tokens import ClientCredentials, KafkaTokens, NoToken, TokenFile
from redress_spine.store.errors import KafkaRefuses

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
# For annotations. They are strings when a program runs, so that nobody can make a client by them.
Producer: TypeAlias = "AIOKafkaProducer"
Consumer: TypeAlias = "AIOKafkaConsumer"
Admin: TypeAlias = "AIOKafkaAdminClient"
Client: TypeAlias = "AIOKafkaClient"
PROBE_MS = 1_500  # for one connection that is made to learn why none can be had
ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
RIGHTS = "See docs/kafka-rights.md."


@dataclass(frozen=True)
class KafkaClients:
    """Makes clients of one Kafka cluster.

    bootstrap: `host:port`, several with commas.
    security: how a connection is made: with TLS (SSL), with a user (SASL_PLAINTEXT), with both (SASL_SSL), or with neither (PLAINTEXT).
    mechanism, username, password: of the user. password_file: holds it instead, and is read for each client.
    token_url, token_scope: where OAUTHBEARER has its tokens from, for username as the client and password as its secret; token_file: or
    from where.
    ca_file: certificates in PEM form that sign the brokers'; those that the machine trusts, if none is given.
    cert_file, key_file: this client's own certificate, where brokers ask for one.
    client_id: how the brokers know all of these clients; the role of each is added.
    """

    bootstrap: str
    security: Security = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token_url: str | None = None
    token_scope: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = "redress"

    @classmethod
    def of(cls, kafka: Self | str) -> Self:
        """Bootstrap addresses alone are those of a Kafka without TLS and without users."""
        return cls(kafka) if isinstance(kafka, str) else kafka

    def producer(self, role: str = "tools", **options: Any) -> Producer:
        """A producer that is not started. options: aiokafka's."""
        return AIOKafkaProducer(bootstrap_servers=self.bootstrap, **self._access(role), **options)

    def consumer(self, *topics: str, role: str = "tools", **options: Any) -> Consumer:
        """A consumer that is not started. options: aiokafka's."""
        return AIOKafkaConsumer(*topics, bootstrap_servers=self.bootstrap, **self._access(role), **options)

    def admin(self, role: str = "tools", **options: Any) -> Admin:
        """A client for topics and settings that is not started. options: aiokafka's."""
        return AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, **self._access(role), **options)

    def client(self, role: str = "tools", **options: Any) -> Client:
        """A client for requests of the protocol that the others do not send; it is not bootstrapped. options: aiokafka's."""
        return AIOKafkaClient(bootstrap_servers=self.bootstrap, **self._access(role), **options)

    async def refusal(self) -> str | None:
        """Why brokers that answer do not let us in: a message about certificates or users, None where neither is at fault.

        A client that cannot start raises the same error for all of these, so one connection is made only to learn the reason.
        """
        if self.security == "PLAINTEXT":
            return None
        try:
            access = self._access("probe")
        except KafkaRefuses as error:
            return str(error)
        for host, port, _ in collect_hosts(self.bootstrap):
            try:
                connection = await create_conn(host, port, request_timeout_ms=PROBE_MS, **access)
            except (OSError, KafkaError, TimeoutError, ValueError) as error:
                if reason := self._reason(error):
                    return f"Kafka at {host}:{port} {reason}"
            else:
                try:
                    good = self.mechanism != "OAUTHBEARER" or await _lets_in(connection)
                finally:
                    connection.close()
                return None if good else f"Kafka at {host}:{port} does not take the token. See REDRESS_KAFKA_TOKEN_URL and _TOKEN_FILE."
        return None

    def lacking(self, error: BaseException) -> str | None:
        """Which right we lack, in a message, where that is what an error says."""
        match error:
            case TopicAuthorizationFailedError():
                return f"Kafka does not let {self.who} do all that it must with {_named(error, 'topic')}. {RIGHTS}"
            case GroupAuthorizationFailedError():
                return f"Kafka does not let {self.who} read as a member of {_named(error, 'group')}. {RIGHTS}"
            case ClusterAuthorizationFailedError():
                return f"Kafka lets {self.who} write to no topic. {RIGHTS}"
        return None

    @property
    def who(self) -> str:
        """How a message calls who asks."""
        return f"the user {self.username}" if self.username else "this client"

    def _access(self, role: str) -> dict[str, Any]:
        access: dict[str, Any] = {"client_id": f"{self.client_id}-{role}", "security_protocol": self.security}
        if "SSL" in self.security.split("_"):
            access["ssl_context"] = self._tls
        if self.security.startswith("SASL"):
            access["sasl_mechanism"] = self.mechanism
            if self.mechanism == "OAUTHBEARER":
                access["sasl_oauth_token_provider"] = self._tokens
            else:
                access |= {"sasl_plain_username": self.username, "sasl_plain_password": self._password()}
        return access

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return RenewedContext.of(self.ca_file, self.cert_file, self.key_file)

    @cached_property
    def _tokens(self) -> KafkaTokens:
        if self.token_file:
            return TokenFile(self.token_file)
        return ClientCredentials(self.token_url or "", self.username or "", self._password, self.token_scope)

    def _password(self) -> str:
        """As it is now. Raises KafkaRefuses."""
        if self.password_file is None:
            return self.password or ""
        try:
            return self.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise KafkaRefuses(f"Kafka is not asked: its password cannot be read: {why}. See REDRESS_KAFKA_PASSWORD_FILE.") from None

    def _reason(self, error: BaseException) -> str | None:
        match error:
            case ssl.SSLCertVerificationError():
                return f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}. See REDRESS_KAFKA_CA_FILE."
            case ssl.SSLError():
                return f"made no TLS connection: {error.reason or type(error).__name__}. See REDRESS_KAFKA_SECURITY and _CERT_FILE."
            case NoToken():
                return f"is not asked. {error.args[0]}"
            case SaslAuthenticationFailed() | AuthenticationFailedError():
                return f"refuses the user {self.username}, or the password. See REDRESS_KAFKA_USERNAME and REDRESS_KAFKA_PASSWORD."
            case UnsupportedSaslMechanismError():
                return f"does not offer {self.mechanism}. See REDRESS_KAFKA_SASL_MECHANISM."
            case IllegalSaslStateError():
                return "asks for no user at this address. See REDRESS_KAFKA_SECURITY."
            case KafkaConnectionError(__cause__=ssl.SSLError() as cause):  # TLS 1.3 refuses a client's certificate after the handshake
                return self._reason(cause)
        return None


async def _lets_in(connection: Any) -> bool:
    """aiokafka does not look at what a broker says of a token. Whose is not good gets no answer that names a broker."""
    try:
        return bool((await connection.send(MetadataRequest([]))).brokers)
    except (KafkaError, OSError, TimeoutError):
        return False


def _named(error: KafkaError, kind: str) -> str:
    """What the client says of it: a name, several, or nothing."""
    names = error.args[0] if error.args else ""
    named = names if isinstance(names, str) else ", ".join(sorted(map(str, names)))
    return f"{kind} {named}" if named else f"its {kind}"


def wrong_address(bootstrap: str) -> str | None:
    """What is wrong with bootstrap addresses, in a message; None where nothing is. aiokafka takes `SSL://host:9093` for a host's name."""
    for each in (each.strip() for each in bootstrap.split(",")):
        scheme, found, rest = each.partition("://")
        if found:
            wanted = scheme.upper() if scheme.upper() in get_args(Security) else "SSL or SASL_SSL"
            return f"{each}: write {rest or 'host:port'}, and say how it is reached by REDRESS_KAFKA_SECURITY={wanted}."
        if not ADDRESS.fullmatch(each):
            return f"{each or 'An empty address'} is not host:port. Write host:port, several with commas."
    return None
