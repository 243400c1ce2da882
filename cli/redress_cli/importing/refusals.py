"""Why a row is refused before it is posted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class RowRefused(Exception):
    """code: for programs. field: of the complaint. reason: a sentence, with what to write instead."""

    code: str
    field: str
    reason: str

    def __str__(self) -> str:
        return f"/{self.field}: {self.reason}"
