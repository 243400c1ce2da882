"""Which column is which field of a complaint: usual names in both languages, or what the operator says. No field has two columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redress_cli.importing.names import NAMES, meanings

TIME = "time"  # of day, for the date in another column
BESIDE_A_DATE = "时间"  # a moment where it stands alone, else the time of day
FIELDS = tuple(NAMES["columns"])
FIELD_OF = meanings("columns")


@dataclass(frozen=True, slots=True)
class UsedColumns:
    """places: of each field's column in the header. unused: the names of the others. flaws: what is wrong with the header."""

    places: Mapping[str, int]
    unused: tuple[str, ...]
    flaws: tuple[str, ...]


class MappingUnusable(Exception):
    """What the operator said of columns does not fit the file."""


def normal_name(name: str) -> str:
    """A column's name without what spreadsheets and people add: capitals, full width, underscores, a star for what is required."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[\s_\-*:#.]+", " ", plain).split())


def choose(header: Sequence[str], told: Mapping[str, str], constants: Mapping[str, str]) -> UsedColumns:
    """told: field → column. constants: fields whose value is told. Raises MappingUnusable."""
    for field in (*told, *constants):
        if field not in FIELDS:
            raise MappingUnusable(f"A complaint has no field {field!r}. The fields are: {', '.join(FIELDS)}")
        if field in told and field in constants:
            raise MappingUnusable(f"Both --map and --set say what {field} is. Use one of them.")
    names = [normal_name(name) for name in header]
    flaws = [
        f"Two columns have the name {header[n]!r}. Rename or delete one of them."
        for n, name in enumerate(names)
        if name and name in names[:n]
    ]
    places: dict[str, int] = {}
    for field, column in told.items():
        if normal_name(column) not in names:
            raise MappingUnusable(f"There is no column {column!r}. The columns are: {', '.join(filter(None, header))}")
        places[field] = names.index(normal_name(column))
    for place, name in enumerate(names):
        field = FIELD_OF.get(name, "")
        if not field or field in told or field in constants or place in places.values():
            continue
        if field in places and name == BESIDE_A_DATE and TIME not in places:
            places[TIME] = place
        elif field in places:
            if names[places[field]] != name:
                flaws.append(
                    f"The columns {header[places[field]]!r} and {header[place]!r} are both {field}. Choose: --map {field}={header[place]}"
                )
        else:
            places[field] = place
    if "text" not in places and "text" not in constants:
        raise MappingUnusable(
            f"Which column is the complaint's text? Use --map text=COLUMN. The columns are: {', '.join(filter(None, header))}"
        )
    used = set(places.values())
    return UsedColumns(places, tuple(name for place, name in enumerate(header) if name and place not in used), tuple(flaws))
