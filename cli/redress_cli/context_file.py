"""Contexts: installations by name, in a file of the person who works on them. It names files of secrets, and never holds a secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from redress_chassis.environment import FromEnvironment
from redress_chassis.settings import KafkaSettings
from redress_chassis.vault_settings import VaultSettings
from redress_spine.messaging.kafka_clients import wrong_address

FOLDER, FILE = "redress", "contexts.yaml"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
LIKE_A_SECRET = 40  # characters without a slash: no name of a file that somebody would type
STACK = "stack"  # for `redress context use`: no context, but the stack of the folder


class ContextUnusable(Exception):
    """The file, or what was to be written into it, is not right; the message says how."""


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("An address begins with postgresql://.")
    user = unquote(parts.netloc.rpartition("@")[0])
    names = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if ":" in user or names & {"password", "sslpassword"}:
        raise ValueError("A context has no password: write it into a separate file, and name that file.")
    return address


def _web_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or "@" in unquote(parts.netloc):
        raise ValueError("An address begins with https:// or http://, and contains no user.")
    if parts.query or parts.fragment or "?" in address or "#" in address:
        raise ValueError("An address of a service ends with its path: a context contains no token, and nothing after ? or #.")
    return address.rstrip("/")


def _brokers(addresses: str) -> str:
    if wrong_address(addresses):
        raise ValueError("It is HOST:PORT, several with commas, without a user: use --kafka-set for how Kafka is reached.")
    return addresses


def _no_secret_itself(path: Path) -> Path:
    if is_like_a_secret(path):
        raise ValueError("It must name a file, and there is no such file: the value looks like the secret itself.")
    return absolute(path)


def is_like_a_secret(path: Path) -> bool:
    """Whether somebody gave a token or a password in place of the file that holds it: it must not be shown."""
    given = path.name if path.parent == Path.cwd() else str(path)  # it may have been made absolute
    return "/" not in given and (given.startswith("eyJ") or len(given) >= LIKE_A_SECRET) and not os.path.exists(path)


def absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


WebAddress = Annotated[str, AfterValidator(_web_address)]
DatabaseWithoutPassword = Annotated[str, AfterValidator(_without_password)]
BrokerAddresses = Annotated[str, AfterValidator(_brokers)]
SecretFile = Annotated[Path, AfterValidator(_no_secret_itself)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ServiceInContext(Strict):
    """Where one service is. urls: of each replica, or of what stands before them. operations: the same for /ops and /metrics, where they
    have a port of their own. owner: the database as the owner of its tables, for commands that rebuild states."""

    urls: list[WebAddress] = []
    operations: list[WebAddress] = []
    database: DatabaseWithoutPassword | None = None
    database_password_file: SecretFile | None = None
    owner: DatabaseWithoutPassword | None = None
    owner_password_file: SecretFile | None = None


class NamedInstallation(Strict):
    """One context. kafka_settings, vault_settings: those that docs/configuration.md names, without `REDRESS_`, in small letters."""

    services: dict[str, ServiceInContext] = {}
    kafka: BrokerAddresses | None = None
    kafka_settings: dict[str, str] = {}
    vault_settings: dict[str, str] = {}
    partitions: PositiveInt = 12
    master_key_file: SecretFile | None = None
    mac_keys_dir: SecretFile | None = None
    token_file: SecretFile | None = None
    ca_file: SecretFile | None = None


class Contexts(Strict):
    """The whole file. current: which holds where a command names none."""

    current: str | None = None
    contexts: dict[Annotated[str, Field(pattern=f"^{NAME}$")], NamedInstallation] = {}

    def named(self, name: str) -> NamedInstallation:
        """Raises ContextUnusable where there is none of this name."""
        try:
            return self.contexts[name]
        except KeyError:
            there = f"There are: {', '.join(self.contexts)}." if self.contexts else "There is none."
            raise ContextUnusable(f"There is no context {name!r}. {there} Make one with: redress context add {name} …") from None


class SaidInContext(FromEnvironment):
    """How a context says that something is reached: by itself alone. What the environment says belongs to another installation."""

    whose: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def of(cls, said: dict[str, str]) -> Self:
        """Raises ContextUnusable."""
        for name in said:
            if name not in cls.model_fields:
                raise ContextUnusable(f"{name} is not a setting of {cls.whose}'s. The settings are: {', '.join(cls.names())}.")
            if name not in cls.names():
                raise ContextUnusable(f"{name} is a secret, and a context has none: set {name}_file.")
        for name, value in said.items():
            if "://" in value and ("@" in unquote(urlsplit(value).netloc) or "?" in value):
                raise ContextUnusable(f"{name} has a user or a query, and a context contains no secret.")
            if name.endswith("_file") and is_like_a_secret(Path(value)):
                raise ContextUnusable(f"{name} must name a file, and there is no such file: the value looks like the secret itself.")
        try:
            return cls(**said)  # type: ignore[arg-type]  # pydantic reads them out of texts
        except ValidationError as error:
            raise ContextUnusable(sentences(error)) from None

    @classmethod
    def names(cls) -> list[str]:
        """Those that are no secret: what is not to be shown is one."""
        return [name for name, field in cls.model_fields.items() if field.repr]


class ContextKafka(SaidInContext, KafkaSettings):
    whose = "Kafka"


class ContextVault(SaidInContext, VaultSettings):
    whose = "Vault"


def place() -> Path:
    """Of the file: in $XDG_CONFIG_HOME, else in ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / FOLDER / FILE


def read_contexts() -> Contexts:
    """What the file says; nothing where there is none. Raises ContextUnusable."""
    try:
        return Contexts.model_validate(yaml.safe_load(place().read_text("utf-8")) or {})
    except FileNotFoundError:
        return Contexts()
    except ValidationError as error:
        raise ContextUnusable(f"{place()} is not right. {sentences(error)}") from None
    except yaml.YAMLError as error:
        line = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        raise ContextUnusable(f"{place()}{line} is no YAML.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContextUnusable(f"{place()} cannot be read: {getattr(error, 'strerror', None) or 'it is not text in UTF-8'}.") from None


@contextmanager
def changed_contexts() -> Iterator[Contexts]:
    """The file to be changed, written at the block's end so that a killed command leaves the old one. Raises ContextUnusable."""
    contexts = read_contexts()
    yield contexts
    try:
        contexts = Contexts.model_validate(contexts.model_dump())
    except ValidationError as error:
        raise ContextUnusable(sentences(error)) from None
    file = place()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            yaml.safe_dump(plain(contexts), out, allow_unicode=True, sort_keys=False)
        draft.replace(file)
    except OSError as error:
        raise ContextUnusable(f"{file} cannot be written: {error.strerror}.") from None


def plain(model: BaseModel) -> dict[str, Any]:
    """As the file has it: what is not set is left out."""
    return model.model_dump(mode="json", exclude_defaults=True)


def sentences(error: ValidationError) -> str:
    """What is wrong, each with its place, and never a value: somebody may have written a secret where none belongs."""
    flaws = (f"{'.'.join(map(str, flaw['loc'])) or 'all'}: {flaw['msg'].removeprefix('Value error, ')}" for flaw in error.errors())
    return " ".join(each if each.endswith(".") else f"{each}." for each in flaws)
