"""What another person wrote, made harmless before it is printed: nothing in it can steer the terminal, or pretend to be a line of ours."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

# Control characters (C0, DEL, C1), halves of a pair, and the separators that some terminals take for the end of a line.
STEERING = frozenset({"Cc", "Cs", "Zl", "Zp"})
FORMAT = "Cf"  # what turns the direction of reading, and what is not seen at all
JOINERS = frozenset("\u200c\u200d")  # Persian and the scripts of India are not written without them, nor are families of emoji
LAYOUT = frozenset("\n\t")


def harmless(text: object, *, layout: bool = False) -> str:
    """The same text with each character that steers a terminal written as JSON writes it: ESC as `\\u001b`.

    layout: ends of lines and tabs stay, where the text has a place of several lines for itself."""
    said = str(text)
    if said.isprintable():
        return said
    return "".join(_escaped(each) if _steers(each) and not (layout and each in LAYOUT) else each for each in said)


def foreign(text: object, style: str = "") -> Text:
    """The same for a cell of a table or a part of a line: square brackets are no markup in it either."""
    return Text(harmless(text), style=style)


def _steers(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    return category in STEERING or (category == FORMAT and character not in JOINERS)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]


class HarmlessConsole(Console):
    """Prints no control character that stands in a text, whoever forgot to ask for that. What rich says to the terminal goes through."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text, layout=True))
