"""What a service is told by its environment: variables that begin with `REDRESS_`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from redress_events.clock import ClockUnusable, SteppingClock
from redress_events.topics import REPLICAS

PREFIX = "REDRESS_"
KEY_BYTES = 32  # AES-256


class BadSettings(Exception):
    """The environment is incomplete or wrong. One line per variable, and never a value: there are passwords among them."""


class Settings(BaseSettings):
    """All that differs between one installation of a service and another."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    database_url: str = Field(repr=False, pattern="^postgres(ql)?://")
    kafka: str = Field(min_length=1)  # host:port, several with commas
    master_key_file: Path  # wraps the keys of personal data
    jwks: str = Field(min_length=1)  # a path, or an http(s) address
    issuer: str = Field(min_length=1)
    audience: str = Field("redress", min_length=1)
    profile: Literal["local", "production"] = "production"
    clock_file: Path | None = None  # of a stepping clock, in the local profile alone; without it the wall clock
    settle_seconds: float = Field(15.0, ge=0, le=600)  # before timed work, after a start or an outage
    clock_tolerance_seconds: float = Field(60.0, ge=1, le=3600)  # between our clock and the database's, before nothing is decided
    partitions: PositiveInt = 12  # fixed at the topics' birth
    min_insync_replicas: PositiveInt | None = None  # of the topics; 1 in the local profile, 2 in production
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_body: PositiveInt = 256 * 1024  # bytes of a request
    idempotency_days: float = Field(7.0, gt=0, le=3650)  # how long the answer to a request is kept for its repetition
    max_words: PositiveInt = 1_000  # later words of a customer that one complaint holds: supplements, and chases with words
    max_attachments: PositiveInt = 1_000  # of one complaint, in all

    @field_validator("log_level", "profile", mode="before")
    @classmethod
    def _in_lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("master_key_file")
    @classmethod
    def _of_256_bits(cls, path: Path) -> Path:
        try:
            size = len(path.read_bytes())
        except OSError as error:
            raise ValueError(f"The file cannot be read: {error.strerror}.") from None
        if size != KEY_BYTES:
            raise ValueError(f"The file must hold {KEY_BYTES} bytes and nothing else, it has {size}.")
        return path

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

    @classmethod
    def read(cls) -> Settings:
        """From the environment. Raises BadSettings, which names each variable that is missing or wrong."""
        try:
            return cls()
        except ValidationError as error:
            lines = (f"{PREFIX}{str(flaw['loc'][0]).upper().removeprefix(PREFIX)}: {flaw['msg']}" for flaw in error.errors())
            raise BadSettings("\n".join(lines)) from None
