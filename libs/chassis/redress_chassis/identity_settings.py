"""Whose tokens are accepted, how they are read, how long they and their keys are trusted, and which duties are kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from redress_chassis.auth.callers import ROLES
from redress_chassis.auth.jwks import Jwks
from redress_chassis.auth.layouts import PRESETS, ClaimReader, Layout, Provider
from redress_chassis.auth.permissions import Duties, FrontEndsReach
from redress_chassis.auth.revocation import DenyList, Introspection, denied_in
from redress_chassis.auth.tokens import TYPES, TokenRules, Tokens
from redress_chassis.environment import PREFIX, FromEnvironment
from redress_events.vocabulary import Channel

CLAIMS = ("roles_claim", "subject_claim", "department_claim", "groups_claim", "client_claim", "channels_claim", "areas_claim")
PAIRS = ("role_names", "client_roles", "department_groups", "client_channels", "area_groups")
CHANNELS: tuple[str, ...] = get_args(Channel)
OF_ROLES = ("role_names", "client_roles")  # of which ours are roles
BY_CHANNEL, BY_AREA = ("channels_claim", "client_channels"), ("areas_claim", "area_groups")
OTHERS = ("machine_mark", "deny_file", "introspection_url", "introspection_client", "introspection_secret_file")


class IdentitySettings(FromEnvironment):
    """Several claims stand with commas between them, several pairs `theirs=ours` with semicolons or line ends. docs/identity.md"""

    jwks: str = Field(min_length=1)  # a path, or an http(s) address
    jwks_max_age_seconds: float = Field(3600.0, ge=10, le=7 * 86_400)
    issuer: str = Field(min_length=1)
    audience: str = Field("redress", min_length=1)
    identity_provider: Provider = "default"
    roles_claim: str | None = None  # this and the next five: where they stand, if not where the provider's preset says
    subject_claim: str | None = None
    department_claim: str | None = None
    groups_claim: str | None = None
    client_claim: str | None = None
    machine_mark: str | None = None
    role_names: str | None = None
    client_roles: str | None = None
    department_groups: str | None = None
    token_types: str = "JWT,at+jwt"
    token_max_lifetime_seconds: float = Field(86_400.0, ge=60, le=366 * 86_400)
    token_remembered_seconds: float = Field(3600.0, ge=0, le=86_400)
    deny_file: Path | None = None
    introspection_url: str | None = None
    introspection_client: str | None = Field(None, validate_default=True)
    introspection_secret_file: Path | None = Field(None, validate_default=True)
    introspection_cache_seconds: float = Field(30.0, ge=0, le=3600)
    front_ends_reach: FrontEndsReach = "own"
    channels_claim: str | None = None
    client_channels: str | None = None
    agents_reach: Literal["anything", "area"] = "anything"
    areas_claim: str | None = None
    area_groups: str | None = None
    four_eyes: bool = True
    closed_readable_days: float = Field(365.0, ge=0, le=36_500)  # by a department; supervisors read them forever

    @field_validator(*CLAIMS, *PAIRS, *OTHERS, mode="before")
    @classmethod
    def _empty_identity_is_unset(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("identity_provider", "front_ends_reach", "agents_reach", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator(*CLAIMS)
    @classmethod
    def _names_of_claims(cls, value: str | None) -> str | None:
        if value is not None and not all(_is_claim(each) for each in names_in(value)):
            raise ValueError("Name one claim or several with commas, each in ASCII, without quotes and spaces.")
        return value

    @field_validator("machine_mark")
    @classmethod
    def _claim_and_value(cls, value: str | None) -> str | None:
        if value is not None and not (_is_claim(value.partition("=")[0]) and value.partition("=")[2]):
            raise ValueError("Write claim=value, for instance sub={client}.")
        return value

    @field_validator(*PAIRS)
    @classmethod
    def _pairs(cls, value: str | None, field: ValidationInfo) -> str | None:
        ours = {name for names in pairs_in(value).values() for name in names}
        if field.field_name in OF_ROLES and (unknown := ours.difference(ROLES)):
            raise ValueError(f"There is no role {', '.join(sorted(unknown))}. Roles: {', '.join(ROLES)}.")
        if field.field_name == "department_groups" and any(len(names) > 1 for names in pairs_in(value).values()):
            raise ValueError("A group names one department.")
        if field.field_name == "client_channels" and (unknown := ours.difference(CHANNELS)):
            raise ValueError(f"There is no channel {', '.join(sorted(unknown))}. Channels: {', '.join(CHANNELS)}.")
        return value

    @field_validator(*BY_CHANNEL, *BY_AREA)
    @classmethod
    def _where_it_counts(cls, value: str | None, others: ValidationInfo) -> str | None:
        setting, wanted = ("front_ends_reach", "channel") if others.field_name in BY_CHANNEL else ("agents_reach", "area")
        if value is not None and others.data.get(setting, wanted) != wanted:
            raise ValueError(f"It counts with {PREFIX}{setting.upper()}={wanted} alone: set that too, or leave this out.")
        return value

    @field_validator("token_types")
    @classmethod
    def _types(cls, value: str) -> str:
        if not names_in(value) or not TYPES.issuperset(each.lower() for each in names_in(value)):
            raise ValueError("Name JWT, at+jwt, or both with a comma.")
        return value

    @field_validator("deny_file")
    @classmethod
    def _of_denied(cls, path: Path | None) -> Path | None:
        try:
            denied_in(path.read_text("utf-8") if path else "")
        except OSError as error:
            raise ValueError(f"The file cannot be read: {error.strerror}.") from None
        return path

    @field_validator("introspection_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("It must be an address that begins with https://.")
        return value

    @field_validator("introspection_client", "introspection_secret_file")
    @classmethod
    def _with_an_address(cls, value: str | Path | None, others: ValidationInfo) -> str | Path | None:
        if "introspection_url" in others.data and (value is None) != (others.data["introspection_url"] is None):
            raise ValueError(f"{PREFIX}INTROSPECTION_URL, _CLIENT and _SECRET_FILE are set together, or none of them.")
        if isinstance(value, Path):
            try:
                value.read_bytes()
            except OSError as error:
                raise ValueError(f"The file cannot be read: {error.strerror}.") from None
        return value

    @property
    def layout(self) -> Layout:
        """The provider's, with what is set otherwise."""
        given: dict[str, Any] = {name.removesuffix("_claim"): tuple(names_in(value)) for name in CLAIMS if (value := getattr(self, name))}
        layout = replace(PRESETS[self.identity_provider], **given)
        return replace(layout, machine=self.machine_mark) if self.machine_mark else layout

    def reader(self) -> ClaimReader:
        return ClaimReader(
            self.layout,
            self.audience,
            pairs_in(self.role_names),
            pairs_in(self.client_roles),
            {group: min(names) for group, names in pairs_in(self.department_groups).items()},
            by_channel=self.front_ends_reach == "channel",
            client_channels=pairs_in(self.client_channels),
            by_area=self.agents_reach == "area",
            area_groups=pairs_in(self.area_groups),
        )

    def tokens(self) -> Tokens:
        """What checks tokens by these settings. Raises OSError and ValueError, if the list of denied tokens went bad since it was read."""
        types = frozenset(each.lower() for each in names_in(self.token_types))
        introspection = None
        if self.introspection_url and self.introspection_client and self.introspection_secret_file:
            introspection = Introspection(
                self.introspection_url, self.introspection_client, self.introspection_secret_file, self.introspection_cache_seconds
            )
        return Tokens(
            Jwks(self.jwks, max_age=self.jwks_max_age_seconds),
            self.issuer,
            self.audience,
            reader=self.reader(),
            rules=TokenRules(self.token_max_lifetime_seconds, self.token_remembered_seconds, types),
            denied=DenyList(self.deny_file) if self.deny_file else None,
            introspection=introspection,
        )

    def duties(self) -> Duties:
        kept = timedelta(days=self.closed_readable_days)
        return Duties(self.front_ends_reach, self.agents_reach == "area", self.four_eyes, kept)


def names_in(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def pairs_in(text: str | None) -> Mapping[str, frozenset[str]]:
    """`theirs=ours; theirs=ours`: each of theirs with all of ours that it stands for. Theirs may have an equals sign, ours has none. Raises
    ValueError."""
    found: dict[str, frozenset[str]] = {}
    for pair in (text or "").replace("\n", ";").split(";"):
        theirs, equals, ours = (part.strip() for part in pair.rpartition("="))
        if not pair.strip():
            continue
        if not equals or not theirs or not ours:
            raise ValueError("Write pairs theirs=ours, with a semicolon between two.")
        found[theirs] = found.get(theirs, frozenset()) | {ours}
    return found


def _is_claim(name: str) -> bool:
    """Names of claims stand in the header of a refusal, in quotes."""
    return bool(name) and name.isascii() and name.isprintable() and not set(name) & set(' "\\')
