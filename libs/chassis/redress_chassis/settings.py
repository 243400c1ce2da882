"""What a service is told by its environment: variables that begin with `REDRESS_`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, ValidationInfo, field_validator

from redress_chassis import production
from redress_chassis.environment import PREFIX, BadSettings, read, secret
from redress_chassis.http_settings import HttpSettings
from redress_chassis.identity_settings import IdentitySettings
from redress_chassis.kafka_settings import KafkaSettings
from redress_chassis.observability import ObservabilitySettings
from redress_chassis.vault_settings import VaultSettings
from redress_spine.messaging.kafka_clients import wrong_address
from redress_spine.messaging.mac import MacKeys, MacKeysUnusable
from redress_spine.messaging.topics import REPLICAS
from redress_spine.processing.clock import ClockUnusable, SteppingClock
from redress_spine.store.connections import wrong_database
from redress_spine.store.master_keys import MasterKeys, MasterKeyUnusable, checked, files_of

__all__ = ["PREFIX", "BadSettings", "KafkaSettings", "Settings"]


class Settings(KafkaSettings, VaultSettings, HttpSettings, IdentitySettings, ObservabilitySettings):
    """All that differs between one installation of a service and another."""

    understands: ClassVar[str | None] = PREFIX
    database_url: str = Field(repr=False, pattern="^postgres(ql)?://")
    database_password_file: Path | None = None  # read for each new connection, where the address has no password
    kafka: str = Field(min_length=1)  # host:port, several with commas
    master_key_file: Path  # the first master key, which wraps the keys of personal data; later ones stand beside it
    mac_keys_dir: Path  # of the keys by which records prove their source, all services' keys for all services
    profile: Literal["local", "production"] = "production"
    accept: str | None = None  # what the production profile refuses and is all right here: names with commas between
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

    @field_validator("database_url")
    @classmethod
    def _of_a_database(cls, dsn: str) -> str:
        if wrong := wrong_database(dsn):
            raise ValueError(wrong)
        return dsn

    @field_validator("database_password_file", mode="before")
    @classmethod
    def _empty_file_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("database_password_file")
    @classmethod
    def _one_database_password(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if path is not None and urlsplit(others.data.get("database_url", "")).password:
            raise ValueError(f"Set this or the password in {PREFIX}DATABASE_URL, not both.")
        if path is not None:
            secret(path)
        return path

    @field_validator("kafka")
    @classmethod
    def _of_brokers(cls, bootstrap: str) -> str:
        if wrong := wrong_address(bootstrap):
            raise ValueError(wrong)
        return bootstrap

    @field_validator("accept")
    @classmethod
    def _of_names(cls, text: str | None) -> str | None:
        production.accepted(text)
        return text

    @field_validator("master_key_file")
    @classmethod
    def _of_256_bits(cls, path: Path, others: ValidationInfo) -> Path:
        files = files_of(path)
        if not files:
            read(path)
        try:
            for each in files.values():
                checked(each, read(each), bool(others.data.get("vault_url")))
        except MasterKeyUnusable as error:
            raise ValueError(str(error)) from None
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
            raise ValueError(f"A stepping clock is for {PREFIX}PROFILE=local alone: anybody who can write the file sets every deadline.")
        try:
            SteppingClock(path)
        except ClockUnusable as error:
            raise ValueError(str(error)) from None
        return path

    def refused(self) -> list[str]:
        if self.profile != "production":
            return []
        password = secret(self.database_password_file) if self.database_password_file else None
        flaws = (
            *self.kafka_flaws(),
            *self.vault_flaws(),
            *production.of_database("DATABASE_URL", self.database_url, password),
            *production.of_issuer(self.jwks, self.issuer, self.introspection_url),
            *production.of_replicas(self.min_insync),
        )
        return production.lines(flaws, production.accepted(self.accept))

    @property
    def min_insync(self) -> int:
        return self.min_insync_replicas or REPLICAS[self.profile].min_insync

    @property
    def master_keys(self) -> MasterKeys:
        return self.master_keys_of(self.master_key_file)

    def mac_keys(self, source: str) -> MacKeys:
        """For the service of this name. Raises BadSettings where it has no key to sign with."""
        keys = MacKeys.read(self.mac_keys_dir)
        try:
            keys.check(source)
        except MacKeysUnusable as error:
            raise BadSettings(f"{PREFIX}MAC_KEYS_DIR: {error}") from None
        return keys
