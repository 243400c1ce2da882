"""By what complaints are found: phone, account and service number, in one normal form however they were written down; and what the front
end calls a complaint, as it is.

Spaces, dashes, slashes, dots and parentheses say nothing; full-width digits are digits. China's own country code (+86, 0086, or 86 before a
mobile number) is left out, and so is the trunk zero before an area code, which is not dialled behind a country code. A number of another
country keeps its own. What has letters, as accounts do, keeps them, small.
"""

from __future__ import annotations

import re
import unicodedata

HOME = re.compile(r"\+86(?=.)|86(?=1[3-9]\d{9}$)|0(?=[1-9]\d{8,10}$)")  # country code, or trunk zero: an area code and 7 or 8 digits follow

ABROAD = re.compile(r"\W*\+")
OTHERS = re.compile(r"[^0-9a-z]")


def normal_number(text: str) -> str | None:
    """None where it has neither digit nor letter. A normal form is its own normal form."""
    if text.isascii():  # nearly always
        if text.isdecimal() and not text.startswith(("0", "86")):
            return text
        folded = text.lower()
        kept = OTHERS.sub("", folded)
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        kept = "".join([_digit(character) for character in folded if character.isalnum()])
    plain = "+" + kept if ABROAD.match(folded) else kept
    if not kept.isdecimal():
        return kept or None
    while (shorter := _shorter(plain)) != plain:
        plain = shorter
    return plain


def _shorter(plain: str) -> str:
    """Without one prefix that says what is understood at home."""
    if plain.startswith("00") and len(plain) > 2:
        return "+" + plain[2:]
    return HOME.sub("", plain, count=1) if HOME.match(plain) else plain


def _digit(character: str) -> str:
    return str(unicodedata.decimal(character)) if character.isdecimal() else character


def unchanged(text: str) -> str | None:
    return text


LOOKUPS = {"phone": normal_number, "account": normal_number, "service_number": normal_number, "external_id": unchanged}
UNIQUE = frozenset({"external_id"})
