"""How the master keys are opened: as they are, or by HashiCorp Vault's transit engine, which sealed their files."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from redress_chassis import production
from redress_chassis.environment import PREFIX, FromEnvironment, read, secret
from redress_spine.store.master_keys import MasterKeys
from redress_spine.store.vault_transit import VaultTransit


class VaultSettings(FromEnvironment):
    """Without an address the files hold the keys as they are."""

    vault_url: str | None = None  # https://host:8200
    vault_mount: str = Field("transit", pattern=r"^[A-Za-z0-9][A-Za-z0-9/_.-]*$")
    vault_key: str = Field("redress", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    vault_namespace: str | None = None  # of Vault Enterprise
    vault_ca_file: Path | None = None  # in PEM form
    vault_token_file: Path | None = Field(None, validate_default=True)  # read again when it changes

    @field_validator("vault_url", "vault_namespace", "vault_ca_file", "vault_token_file", mode="before")
    @classmethod
    def _not_set_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("vault_url")
    @classmethod
    def _of_vault(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("https://", "http://")):
            raise ValueError("It is not the address of Vault: https://…")
        return url

    @field_validator("vault_ca_file")
    @classmethod
    def _signing_vaults(cls, path: Path | None) -> Path | None:
        if path is not None:
            read(path)
            try:
                ssl.create_default_context(cafile=path)
            except ssl.SSLError:
                raise ValueError("The file contains no certificate in PEM form.") from None
        return path

    @field_validator("vault_token_file")
    @classmethod
    def _with_vault_alone(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        url = others.data.get("vault_url")
        if path is None and url is not None:
            raise ValueError(f"It must be set where {PREFIX}VAULT_URL is.")
        if path is not None and url is None and "vault_url" in others.data:
            raise ValueError(f"A token is for {PREFIX}VAULT_URL, and that is not set.")
        if path is not None:
            secret(path)
        return path

    def transit(self) -> VaultTransit | None:
        """What opens the master keys; None where their files hold them as they are."""
        if self.vault_url is None or self.vault_token_file is None:
            return None
        return VaultTransit(
            self.vault_url,
            self.vault_key,
            self.vault_token_file,
            mount=self.vault_mount,
            namespace=self.vault_namespace,
            ca_file=self.vault_ca_file,
        )

    def master_keys_of(self, file: Path) -> MasterKeys:
        return MasterKeys(file, self.transit())

    def vault_flaws(self) -> Iterator[production.NotForProduction]:
        """What is for one's own machine alone."""
        return production.of_vault(self.vault_url)
