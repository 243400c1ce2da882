"""What follows from the services' OpenAPI documents: docs/api-fields.md, and the documents as files, for programs that read files.

python -m redress_local.interface            writes the page again (`make services`)
python -m redress_local.interface --check    fails where it says otherwise (`make lint`)
python -m redress_local.interface --to DIR   writes the documents into a folder
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from redress_local.places import ROOT, SERVICES, package

PAGE = ROOT / "docs" / "api-fields.md"
HEAD = """# Fields of the API

You get: every field of what is sent and answered, service by service, with its type and meaning. [The API](api.md) says the rest.

Written by `make services` from the services' OpenAPI documents; the words stand in each service's `meanings.py`. A field that is *needed*
must be sent, or is in every answer. `null` after a type: it may be null.
"""
EVERY = ("Problem", "Mistake")
COMMON = "Every service"


def documents() -> dict[str, dict[str, Any]]:
    """By service."""
    return {name: importlib.import_module(f"{package(name)}.main").app.openapi() for name in SERVICES}


def written(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page."""
    schemas = {name: document["components"]["schemas"] for name, document in found.items()}
    common = set.intersection(*(set(each) for each in schemas.values()))
    lines = [HEAD]
    for name, own in schemas.items():
        lines += [f"## {name}", "", *_tables({each: schema for each, schema in own.items() if each not in common})]
    lines += [f"## {COMMON}", "", *_tables({each: schema for each, schema in next(iter(schemas.values())).items() if each in common})]
    return "\n".join(lines).rstrip() + "\n"


def _tables(schemas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield from (f"### {name}", "", " ".join(schema.get("description", "").split()), "")
        if fields := schema.get("properties"):
            needed = schema.get("required", ())
            yield from ("| field | type | needed | meaning |", "|---|---|---|---|")
            for field, of in fields.items():
                yield f"| `{field}` | {_type(of)} | {'yes' if field in needed else ''} | {_cell(of.get('description', ''))} |"
            yield ""


def _type(of: Mapping[str, Any]) -> str:
    """In a few words: `text, 1 to 200 characters`."""
    if "$ref" in of:
        return str(of["$ref"].rpartition("/")[2])
    if branches := of.get("anyOf") or of.get("oneOf"):
        return " or ".join(_type(each) for each in branches)
    if "const" in of:
        return f"`{of['const']}`"
    if "enum" in of:
        return ", ".join(f"`{each}`" for each in of["enum"])
    match of.get("type"):
        case "array":
            return f"list of {_type(of.get('items', {}))}"
        case "string":
            return {"date-time": "time", "uuid": "id"}.get(of.get("format", ""), "text") + _range(
                of, "minLength", "maxLength", " characters"
            )
        case "integer":
            return "integer" + _range(of, "minimum", "maximum", "")
        case None:
            return "anything"
        case "boolean":
            return "true or false"
        case other:
            return str(other)


def _range(of: Mapping[str, Any], least: str, most: str, unit: str) -> str:
    low, high = of.get(least), of.get(most)
    if high is None:
        return "" if low is None else f", at least {int(low):,}{unit}"
    return f", at most {int(high):,}{unit}" if low is None else f", {int(low):,} to {int(high):,}{unit}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def main() -> int:
    """0: written, or in agreement. 1: drifted."""
    parser = argparse.ArgumentParser(prog="python -m redress_local.interface", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page says otherwise")
    parser.add_argument("--to", type=Path, help="write the documents into this folder, and not the page")
    asked = parser.parse_args()
    found = documents()
    if asked.to:
        asked.to.mkdir(parents=True, exist_ok=True)
        for name, document in found.items():
            (asked.to / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
        return 0
    page = written(found)
    if PAGE.is_file() and PAGE.read_text("utf-8") == page:
        return 0
    if asked.check:
        print(f"{PAGE.relative_to(ROOT)} is out of date. Run `make services`.", file=sys.stderr)
        return 1
    PAGE.write_text(page, "utf-8")
    print(f"{PAGE.relative_to(ROOT)} was regenerated.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
