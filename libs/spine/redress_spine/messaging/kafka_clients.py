"""The one place where clients of Kafka are made: how its brokers are reached, who asks them, and which certificates are trusted.

What else a client must do (timeouts, sizes, where it begins to read) is said by whoever uses it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
# For annotations. They are strings when a program runs, so that nobody can make a client by them.
Producer: TypeAlias = "AIOKafkaProducer"
Consumer: TypeAlias = "AIOKafkaConsumer"
Admin: TypeAlias = "AIOKafkaAdminClient"
Client: TypeAlias = "AIOKafkaClient"
PROBE_MS = 1_500  # for one connection that is made to learn why none can be had


@dataclass(frozen=True)
class KafkaClients:
    """Makes clients of one Kafka cluster.

    bootstrap: `host:port`, several with commas.
    security: how a connection is made: with TLS (SSL), with a user (SASL_PLAINTEXT), with both (SASL_SSL), or with neither (PLAINTEXT).
    mechanism, username, password: of the user.
    ca_file: certificates in PEM form that sign the brokers'; those that the machine trusts, if none is given.
    cert_file, key_file: this client's own certificate, where brokers ask for one.
    client_id: how the brokers know all of these clients; the role of each is added.
    """

    bootstrap: str
    security: Security = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
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
        for host, port, _ in collect_hosts(self.bootstrap):
            try:
                connection = await create_conn(host, port, request_timeout_ms=PROBE_MS, **self._access("probe"))
            except (OSError, KafkaError, TimeoutError, ValueError) as error:
                if reason := self._reason(error):
                    return f"Kafka at {host}:{port} {reason}"
            else:
                connection.close()
                return None
        return None

    def _access(self, role: str) -> dict[str, Any]:
        access: dict[str, Any] = {"client_id": f"{self.client_id}-{role}", "security_protocol": self.security}
        if "SSL" in self.security.split("_"):
            access["ssl_context"] = self._tls
        if self.security.startswith("SASL"):
            user = {"sasl_plain_username": self.username, "sasl_plain_password": self.password}
            access |= {"sasl_mechanism": self.mechanism, **user}
        return access

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return tls(self.ca_file, self.cert_file, self.key_file)

    def _reason(self, error: BaseException) -> str | None:
        match error:
            case ssl.SSLCertVerificationError():
                return f"has a certificate that is not trusted: {error.verify_message.rstrip('.')}. See REDRESS_KAFKA_CA_FILE."
            case ssl.SSLError():
                return f"made no TLS connection: {error.reason or type(error).__name__}. See REDRESS_KAFKA_SECURITY and _CERT_FILE."
            case SaslAuthenticationFailed() | AuthenticationFailedError():
                return f"refuses the user {self.username}, or the password. See REDRESS_KAFKA_USERNAME and REDRESS_KAFKA_PASSWORD."
            case UnsupportedSaslMechanismError():
                return f"does not offer {self.mechanism}. See REDRESS_KAFKA_SASL_MECHANISM."
            case IllegalSaslStateError():
                return "asks for no user at this address. See REDRESS_KAFKA_SECURITY."
            case KafkaConnectionError(__cause__=ssl.SSLError() as cause):  # TLS 1.3 refuses a client's certificate after the handshake
                return self._reason(cause)
        return None


def tls(ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None) -> ssl.SSLContext:
    """Certificates that a client trusts, and its own; names are always checked. Raises OSError (ssl.SSLError) where a file cannot be read,
    is no PEM, or where key and certificate do not belong together. A key with a passphrase is refused: nobody could type it."""
    context = ssl.create_default_context(cafile=ca_file)
    if cert_file:
        context.load_cert_chain(cert_file, key_file, password="")
    return context
