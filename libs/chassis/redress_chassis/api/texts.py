"""What characters a text may have: what people see, and nothing that a screen, a file or a terminal obeys.

Control characters, with the escape character that begins a terminal's sequences, are refused, and so is what turns the direction of the
text around. In long texts line breaks and tabs stay. A text in which nothing can be seen is empty.
"""

from __future__ import annotations

import re
import unicodedata

from pydantic_core import PydanticCustomError

LINE_ENDS = ("\r\n", "\r", "\x85", "\u2028", "\u2029")  # of other systems: all become \n
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # embeddings, overrides and isolates
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
OBEYED_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # line breaks and tabs may stay
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and a sign that are drawn as nothing
SEEN = ("L", "N", "P", "S")  # general categories of what can be seen on its own


def line(text: str) -> str:
    """A text on one line. Raises PydanticCustomError."""
    return _visible(_harmless(text, OBEYED, "Write it on one line, in characters that can be seen."))


def lines(text: str) -> str:
    """A text that may have line breaks, each of them `\\n` from now on, and tabs. Raises PydanticCustomError."""
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return _visible(_harmless(text, OBEYED_IN_LINES, "Only line breaks and tabs may stay."))


def is_visible(text: str) -> bool:
    """Whether there is anything to be seen in it."""
    return any(unicodedata.category(each)[0] in SEEN and each not in BLANKS for each in text)


def _harmless(text: str, obeyed: re.Pattern[str], stays: str) -> str:
    if found := obeyed.search(text):
        raise PydanticCustomError(
            "control_character",
            "Leave out the {kind} {name} (character {place}). {stays}",
            {"kind": _kind(found[0]), "name": f"U+{ord(found[0]):04X}", "place": found.start() + 1, "stays": stays},
        )
    return text


def _kind(character: str) -> str:
    """What is wrong with it, in words."""
    if character in DIRECTIONS:
        return "character that turns the direction of the text around,"
    if character == "\x1b":
        return "escape character"
    if character in "\r\n\x85\u2028\u2029":
        return "line break"
    return "tab" if character == "\t" else "control character"


def _visible(text: str) -> str:
    if not is_visible(text):
        raise PydanticCustomError("string_too_short", "Write something here: it must not be empty.", {"min_length": 1})
    return text
