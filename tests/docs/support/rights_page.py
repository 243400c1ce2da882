"""The table in docs/kafka-rights.md, written from `redress_local.rights`: `python -m rights_page` (`make permissions`)."""

from __future__ import annotations

import re

from pages import ROOT

from redress_local.rights import USERS, kafka_rights, user

PAGE = ROOT / "docs/kafka-rights.md"
TABLE = re.compile(r"^\| user \| resource \|.*?(?=\n\n|\n\Z)", re.MULTILINE | re.DOTALL)


def table() -> str:
    rows = ["| user | resource | name | operations |", "|---|---|---|---|"]
    for name in USERS:
        rows += [f"| `{user(name)}` | {each.kind} | `{each.name}` | {', '.join(each.operations)} |" for each in kafka_rights(name)]
    return "\n".join(rows)


def written() -> str:
    """The whole page, with the table as it must be."""
    text, places = TABLE.subn(lambda _: table(), PAGE.read_text("utf-8"))
    assert places == 1, "the page has one table of rights"
    return text


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
