"""What settings are read from: environment variables that begin with `REDRESS_`, and files that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from redress_chassis.variables import PREFIX, not_understood

__all__ = ["PREFIX", "BadSettings", "FromEnvironment", "read", "secret"]


class BadSettings(Exception):
    """The environment is incomplete or wrong. One line per variable, and never a value: there are passwords among them."""


class FromEnvironment(BaseSettings):
    """Some of the settings, for whoever needs no others."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)
    understands: ClassVar[str | None] = None  # how the names begin of which each must be known

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, others: Iterable[str] = (), **given: Any) -> Self:
        """What is not given, from the environment. Raises BadSettings, which names each variable that is missing, wrong, or refused in
        production. environment: whose variables are all to be understood. others: what is read beside these settings."""
        flaws: list[str] = []
        if cls.understands is not None:
            known = {PREFIX + name.upper() for name in cls.model_fields}
            flaws += not_understood(environment or {}, known.union(others), cls.understands)
        try:
            made = cls(**given)
        except ValidationError as error:
            flaws += [
                f"{PREFIX}{str(flaw['loc'][0]).upper().removeprefix(PREFIX)}: {flaw['msg'].removeprefix('Value error, ')}"
                for flaw in error.errors()
            ]
        else:
            flaws += made.refused()
            if not flaws:
                return made
        raise BadSettings("\n".join(flaws))

    def refused(self) -> list[str]:
        """What the production profile refuses, a line for each."""
        return []


def read(path: Path) -> bytes:
    """Raises ValueError, in a message for whoever set the file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"The file cannot be read: {error.strerror}.") from None


def secret(path: Path) -> str:
    """Without the end of the line that editors add. Raises ValueError."""
    try:
        text = read(path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("The file is not text in UTF-8.") from None
    if not text:
        raise ValueError("The file is empty.")
    return text
