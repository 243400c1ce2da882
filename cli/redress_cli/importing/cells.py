"""What cells say: channels and kinds by their usual names, phone numbers that a spreadsheet changed, and words that mean nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import get_args

from redress_cli.importing.names import meanings
from redress_cli.importing.refusals import RowRefused
from redress_events.vocabulary import Channel, ContactKind

CHANNEL_OF: Mapping[str, Channel] = meanings("channels", get_args(Channel))
KIND_OF: Mapping[str, ContactKind] = meanings("kinds", get_args(ContactKind))

# What people write where they have nothing to write.
NOTHING = frozenset(
    [
        *("-", "--", "—", "——", "/", "\\", ".", "?", "n/a", "nil", "none", "null", "unknown", "not given"),
        *("无", "暂无", "没有", "未知", "不详", "未提供", "不提供", "未填", "暂无电话", "无电话"),
    ]
)
LONG_TEXTS = frozenset({"text", "remedy", "instruction"})  # here a dash or a 无 is what the customer said
PHONES = frozenset({"phone", "account", "service_number"})
SHORTENED = re.compile(r"\d(?:\.\d+)?e\+\d+", re.IGNORECASE)
AS_NUMBER = re.compile(r"(\+?\d+)\.0+")
AS_FORMULA = re.compile(r'="?([^"]*)"?')
QUOTES = "'’‘`＇\t "
TEXT_COLUMN = "Format the column as text in the spreadsheet, write the number again, and save."


def plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold()


def says_nothing(field: str, text: str) -> bool:
    return not text.strip() or (field not in LONG_TEXTS and plain(text) in NOTHING)


def channel_of(text: str) -> Channel:
    """Raises RowRefused."""
    found = CHANNEL_OF.get(plain(text))
    if found is None:
        raise RowRefused("channel-unknown", "channel", f"{text[:40]!r} is not a channel. The channels are: {', '.join(get_args(Channel))}.")
    return found


def kind_of(text: str) -> ContactKind:
    """Raises RowRefused."""
    found = KIND_OF.get(plain(text))
    if found is None:
        raise RowRefused(
            "kind-unknown", "kind", f"{text[:40]!r} is not a kind of contact. The kinds are: {', '.join(get_args(ContactKind))}."
        )
    return found


def number_of(field: str, text: str) -> str:
    """A phone or service number without what a spreadsheet did to it, empty where nothing is left. Raises RowRefused for lost digits."""
    bare = text.strip(QUOTES)
    if found := AS_FORMULA.fullmatch(bare):
        bare = found[1].strip(QUOTES)
    if SHORTENED.fullmatch(plain(bare)):
        raise RowRefused(
            "number-shortened", field, f"The spreadsheet shortened the number to {bare}, and its last digits are lost. {TEXT_COLUMN}"
        )
    if found := AS_NUMBER.fullmatch(bare):
        bare = found[1]
    return "" if says_nothing(field, bare) else bare
