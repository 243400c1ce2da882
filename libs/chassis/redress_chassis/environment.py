"""What settings are read from: environment variables that begin with `REDRESS_`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "REDRESS_"


class BadSettings(Exception):
    """The environment is incomplete or wrong. One line per variable, and never a value: there are passwords among them."""


class FromEnvironment(BaseSettings):
    """Some of the settings, for whoever needs no others."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, hide_input_in_errors=True)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """What is not given, from the environment. Raises BadSettings, which names each variable that is missing or wrong."""
        try:
            return cls(**given)
        except ValidationError as error:
            lines = (f"{PREFIX}{str(flaw['loc'][0]).upper().removeprefix(PREFIX)}: {flaw['msg']}" for flaw in error.errors())
            raise BadSettings("\n".join(lines)) from None
