"""How Kafka is reached, as the environment tells it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator

from redress_chassis import production
from redress_chassis.environment import PREFIX, BadSettings, FromEnvironment, read, secret
from redress_spine.messaging.kafka_clients import KafkaClients, Mechanism, Security, wrong_address
from redress_spine.messaging.kafka_tls import tls

OAUTH = "OAUTHBEARER"


class KafkaSettings(FromEnvironment):
    """How Kafka is reached, whoever asks: services, the command line, the jobs before a start. All of it is optional."""

    understands: ClassVar[str | None] = f"{PREFIX}KAFKA_"
    kafka_security: Security = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism | None = Field(None, validate_default=True)
    kafka_username: str | None = Field(None, validate_default=True)
    kafka_password: str | None = Field(None, repr=False)
    kafka_password_file: Path | None = Field(None, validate_default=True)
    kafka_token_url: str | None = None  # of OAUTHBEARER; the client is kafka_username, its secret kafka_password
    kafka_token_scope: str | None = None
    kafka_token_file: Path | None = Field(None, validate_default=True)
    kafka_ca_file: Path | None = None  # in PEM form, as the next two
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = Field(None, validate_default=True)

    @field_validator("kafka_security", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def _in_upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator(
        "kafka_sasl_mechanism",
        "kafka_username",
        "kafka_password",
        "kafka_password_file",
        "kafka_token_url",
        "kafka_token_scope",
        "kafka_token_file",
        "kafka_ca_file",
        "kafka_cert_file",
        "kafka_key_file",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("kafka_sasl_mechanism", "kafka_username", "kafka_password", "kafka_password_file")
    @classmethod
    def _with_a_user_alone(cls, value: object, others: ValidationInfo) -> object:
        security = others.data.get("kafka_security", "PLAINTEXT" if value is None else "SASL_SSL")  # if wrong itself, that is said already
        if value is not None and not security.startswith("SASL"):
            raise ValueError(f"A user is for {PREFIX}KAFKA_SECURITY=SASL_SSL or SASL_PLAINTEXT, and it is {security}.")
        by_token = others.field_name == "kafka_username" and others.data.get("kafka_sasl_mechanism") == OAUTH  # a file of tokens has none
        if (
            value is None
            and security.startswith("SASL")
            and others.field_name in ("kafka_sasl_mechanism", "kafka_username")
            and not by_token
        ):
            raise ValueError(f"It must be set where {PREFIX}KAFKA_SECURITY is {security}.")
        return value

    @field_validator("kafka_password_file")
    @classmethod
    def _one_password(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        security = others.data.get("kafka_security", "PLAINTEXT")
        password = others.data.get("kafka_password", "")  # "": it is wrong itself, and that is said already
        if path is None and password is None and security.startswith("SASL") and others.data.get("kafka_sasl_mechanism") != OAUTH:
            raise ValueError(f"This or {PREFIX}KAFKA_PASSWORD must be set where {PREFIX}KAFKA_SECURITY is {security}.")
        if path is not None and password:
            raise ValueError(f"Set this or {PREFIX}KAFKA_PASSWORD, not both.")
        if path is not None:
            secret(path)
        return path

    @field_validator("kafka_token_url", "kafka_token_scope", "kafka_token_file")
    @classmethod
    def _with_oauth_alone(cls, value: object, others: ValidationInfo) -> object:
        mechanism = others.data.get("kafka_sasl_mechanism", OAUTH)  # if wrong itself, that is said already
        if value is not None and mechanism != OAUTH:
            raise ValueError(f"A token is for {PREFIX}KAFKA_SASL_MECHANISM={OAUTH}, and it is {mechanism}.")
        if others.field_name == "kafka_token_url" and value is not None and not str(value).startswith(("https://", "http://")):
            raise ValueError("It is not the address of a token endpoint: https://…")
        return value

    @field_validator("kafka_token_file")
    @classmethod
    def _one_source_of_tokens(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        said = others.data
        if said.get("kafka_sasl_mechanism") != OAUTH or "kafka_token_url" not in said:
            return path
        url = said["kafka_token_url"]
        if path is not None and url is not None:
            raise ValueError(f"Set this or {PREFIX}KAFKA_TOKEN_URL, not both.")
        if path is None and url is None:
            raise ValueError(f"This or {PREFIX}KAFKA_TOKEN_URL must be set where {PREFIX}KAFKA_SASL_MECHANISM is {OAUTH}.")
        if url is not None and not (said.get("kafka_username") and (said.get("kafka_password") or said.get("kafka_password_file"))):
            raise ValueError(f"{PREFIX}KAFKA_TOKEN_URL gives tokens to {PREFIX}KAFKA_USERNAME with {PREFIX}KAFKA_PASSWORD_FILE: set both.")
        if path is not None:
            secret(path)
        return path

    @field_validator("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
    @classmethod
    def _with_tls_alone(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        security = others.data.get("kafka_security", "SSL")
        if path is not None and security not in ("SSL", "SASL_SSL"):
            raise ValueError(f"Certificates are for {PREFIX}KAFKA_SECURITY=SSL or SASL_SSL, and it is {security}.")
        if path is not None:
            read(path)
        return path

    @field_validator("kafka_ca_file")
    @classmethod
    def _of_certificates(cls, path: Path | None) -> Path | None:
        try:
            tls(path) if path else None
        except ssl.SSLError:
            raise ValueError("The file contains no certificate in PEM form.") from None
        return path

    @field_validator("kafka_key_file")
    @classmethod
    def _of_the_clients_certificate(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        certificate = others.data.get("kafka_cert_file")
        if path is not None and certificate is None and "kafka_cert_file" in others.data:
            raise ValueError(f"It belongs to a certificate, and {PREFIX}KAFKA_CERT_FILE is not set.")
        if certificate is not None:
            try:
                tls(None, certificate, path)
            except ssl.SSLError:
                raise ValueError(
                    f"There is no private key in PEM form, without a passphrase, that belongs to {PREFIX}KAFKA_CERT_FILE."
                ) from None
        return path

    def clients(self, bootstrap: str) -> KafkaClients:
        """What makes clients of the Kafka at these addresses. Raises BadSettings where they are none."""
        if wrong := wrong_address(bootstrap):
            raise BadSettings(f"{PREFIX}KAFKA: {wrong}")
        return KafkaClients(
            bootstrap,
            security=self.kafka_security,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=self.kafka_password,
            password_file=self.kafka_password_file,
            token_url=self.kafka_token_url,
            token_scope=self.kafka_token_scope,
            token_file=self.kafka_token_file,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
        )

    def kafka_flaws(self) -> Iterator[production.NotForProduction]:
        """What is for one's own machine alone."""
        password = secret(self.kafka_password_file) if self.kafka_password_file else self.kafka_password
        return production.of_kafka(self.kafka_security, self.kafka_token_url, password)
