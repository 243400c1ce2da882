"""Which complaint, or which other subject, somebody means: by the number that the customer has, by its id, or by its whole name."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote
from uuid import UUID

from redress_cli.api import Api, said
from redress_cli.console import fail
from redress_cli.installation import Installation
from redress_spine.messaging.envelope import SUBJECT

WHICH = "a complaint's number or id, another subject's name (subscription/ID)"
BETWEEN = re.compile(r"[\s\-\u2010-\u2015\u2212]")  # groups of a number
NUMBER = re.compile("[0-9A-Za-z]{11}")


def subject_of(where: Installation, text: str, which: str = WHICH) -> str:
    """The name of a subject, `<kind>/<uuid>`. An id alone is a complaint's, and intake says whose a number is. Ends the command where there
    is none. which: what else may be said here, for the message."""
    number = number_in(text)
    if number is None:
        return named(text, which)
    answer = Api(where, "ops").get("intake", f"/complaints/by-number/{quote(number, safe='')}")
    if answer.status_code in (404, 422):
        fail(f"There is no complaint {text}.")
    if answer.status_code != 200:
        fail(f"intake cannot say now which complaint {text} is: {said(answer)}")
    return f"complaint/{answer.json()['id']}"


def number_in(text: str) -> str | None:
    """What looks like a complaint's number, however it was typed; None for what is none."""
    plain = BETWEEN.sub("", unicodedata.normalize("NFKC", text))
    return plain if NUMBER.fullmatch(plain) else None


def named(text: str, which: str = WHICH) -> str:
    """The same of what is no number; nobody is asked."""
    kind, _, identity = text.rpartition("/")
    try:
        subject = f"{kind or 'complaint'}/{UUID(identity)}"
    except ValueError:
        subject = ""
    if not SUBJECT.fullmatch(subject):
        fail(f"{text!r} is none of these: {which}.")
    return subject
