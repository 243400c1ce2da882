"""What a service is told by its environment: variables that begin with `REDRESS_`."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveInt, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from redress_spine.messaging.kafka_clients import KafkaClients, Mechanism, Security, tls
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.messaging.topics import REPLICAS
from redress_spine.processing.clock import ClockUnusable, SteppingClock

PREFIX = "REDRESS_"
KEY_BYTES = 32  # AES-256


class BadSettings(Exception):
    """The environment is incomplete or wrong. One line per variable, and never a value: there are passwords among them."""


class KafkaSettings(BaseSettings):
    """How Kafka is reached, whoever asks: services, the command line, the jobs before a start. All of it is optional."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    kafka_security: Security = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism | None = Field(None, validate_default=True)
    kafka_username: str | None = Field(None, validate_default=True)
    kafka_password: str | None = Field(None, repr=False)
    kafka_password_file: Path | None = Field(None, validate_default=True)
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
        if value is None and security.startswith("SASL") and others.field_name in ("kafka_sasl_mechanism", "kafka_username"):
            raise ValueError(f"It must be set where {PREFIX}KAFKA_SECURITY is {security}.")
        return value

    @field_validator("kafka_password_file")
    @classmethod
    def _one_password(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        security = others.data.get("kafka_security", "PLAINTEXT")
        password = others.data.get("kafka_password", "")  # "": it is wrong itself, and that is said already
        if path is None and password is None and security.startswith("SASL"):
            raise ValueError(f"This or {PREFIX}KAFKA_PASSWORD must be set where {PREFIX}KAFKA_SECURITY is {security}.")
        if path is not None and password:
            raise ValueError(f"Set this or {PREFIX}KAFKA_PASSWORD, not both.")
        if path is not None and not _secret(path):
            raise ValueError("The file is empty.")
        return path

    @field_validator("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
    @classmethod
    def _with_tls_alone(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        security = others.data.get("kafka_security", "SSL")
        if path is not None and security not in ("SSL", "SASL_SSL"):
            raise ValueError(f"Certificates are for {PREFIX}KAFKA_SECURITY=SSL or SASL_SSL, and it is {security}.")
        if path is not None:
            _read(path)
        return path

    @field_validator("kafka_ca_file")
    @classmethod
    def _of_certificates(cls, path: Path | None) -> Path | None:
        try:
            tls(path) if path else None
        except ssl.SSLError:
            raise ValueError("The file holds no certificate in PEM form.") from None
        return path

    @field_validator("kafka_key_file")
    @classmethod
    def _of_the_certificate(cls, path: Path | None, others: ValidationInfo) -> Path | None:
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
        """What makes clients of the Kafka at these addresses."""
        return KafkaClients(
            bootstrap,
            security=self.kafka_security,
            mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=_secret(self.kafka_password_file) if self.kafka_password_file else self.kafka_password,
            ca_file=self.kafka_ca_file,
            cert_file=self.kafka_cert_file,
            key_file=self.kafka_key_file,
        )

    @classmethod
    def read(cls) -> Self:
        """From the environment. Raises BadSettings, which names each variable that is missing or wrong."""
        try:
            return cls()
        except ValidationError as error:
            lines = (f"{PREFIX}{str(flaw['loc'][0]).upper().removeprefix(PREFIX)}: {flaw['msg']}" for flaw in error.errors())
            raise BadSettings("\n".join(lines)) from None


class Settings(KafkaSettings):
    """All that differs between one installation of a service and another."""

    database_url: str = Field(repr=False, pattern="^postgres(ql)?://")
    kafka: str = Field(min_length=1)  # host:port, several with commas
    master_key_file: Path  # wraps the keys of personal data
    mac_keys_dir: Path  # of the keys by which records prove their source, all services' keys for all services
    jwks: str = Field(min_length=1)  # a path, or an http(s) address
    issuer: str = Field(min_length=1)
    audience: str = Field("redress", min_length=1)
    profile: Literal["local", "production"] = "production"
    clock_file: Path | None = None  # of a stepping clock, in the local profile alone; without it the wall clock
    settle_seconds: float = Field(15.0, ge=0, le=600)  # before timed automations, after a start or an outage
    clock_tolerance_seconds: float = Field(60.0, ge=1, le=3600)  # between our clock and the database's, before nothing is decided
    partitions: PositiveInt = 12  # fixed at the topics' birth
    min_insync_replicas: PositiveInt | None = None  # of the topics; 1 in the local profile, 2 in production
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_body: PositiveInt = 256 * 1024  # bytes of a request
    max_under_way: PositiveInt = 256  # requests at once; who comes beyond is answered 503 with Retry-After
    idempotency_days: float = Field(7.0, gt=0, le=3650)  # how long the answer to a request is kept for its repetition
    max_words: PositiveInt = 1_000  # later words of a customer that one subject holds: supplements, and chases with words
    max_attachments: PositiveInt = 1_000  # of one subject, in all

    @field_validator("log_level", "profile", mode="before")
    @classmethod
    def _in_lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("master_key_file")
    @classmethod
    def _of_256_bits(cls, path: Path) -> Path:
        size = len(_read(path))
        if size != KEY_BYTES:
            raise ValueError(f"The file must hold {KEY_BYTES} bytes and nothing else, it has {size}.")
        return path

    @field_validator("mac_keys_dir")
    @classmethod
    def _of_keys(cls, folder: Path) -> Path:
        try:
            MacKeys.read(folder)
        except MacKeysUnusable as error:
            raise ValueError(str(error)) from None
        return folder

    @field_validator("clock_file")
    @classmethod
    def _for_the_local_profile(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if path is None:
            return None
        if others.data.get("profile") != "local":
            raise ValueError(f"A stepping clock is for {PREFIX}PROFILE=local alone: whoever writes the file sets every deadline.")
        try:
            SteppingClock(path)
        except ClockUnusable as error:
            raise ValueError(str(error)) from None
        return path

    @property
    def min_insync(self) -> int:
        return self.min_insync_replicas or REPLICAS[self.profile].min_insync

    @property
    def master_key(self) -> bytes:
        return self.master_key_file.read_bytes()

    def mac_keys(self, source: str) -> MacKeys:
        """For the service of this name. Raises BadSettings where it has no key to sign with."""
        keys = MacKeys.read(self.mac_keys_dir)
        try:
            keys.check(source)
        except MacKeysUnusable as error:
            raise BadSettings(f"{PREFIX}MAC_KEYS_DIR: {error}") from None
        return keys


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"The file cannot be read: {error.strerror}.") from None


def _secret(path: Path) -> str:
    """Without the end of the line that editors add."""
    try:
        return _read(path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("The file is not text in UTF-8.") from None
