"""Grafana's dashboards, made of deploy/monitoring/dashboards.yml: `python -m redress_local.dashboards [--check]`.

A dashboard's JSON is some forty lines for each panel, and its places have to fit: nobody writes that by hand twice.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from redress_local.places import ROOT

DESCRIPTION = ROOT / "deploy/monitoring/dashboards.yml"
FOLDER = ROOT / "deploy/monitoring/dashboards"
COLUMNS, WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 8, 5
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39  # of Grafana's dashboards: version 11 reads it, and newer ones take it over


def made() -> dict[str, str]:
    """By the file's name, its text."""
    described = yaml.safe_load(DESCRIPTION.read_text("utf-8"))["dashboards"]
    return {f"{each['name']}.json": json.dumps(dashboard(each), indent=2, ensure_ascii=False) + "\n" for each in described}


def dashboard(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": described["name"],
        "title": described["title"],
        "description": described["about"],
        "tags": ["redress"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,  # the same instant in all panels
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source(), _jobs()]},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["redress"], "title": "Redress", "asDropdown": True, "keepTime": True, "includeVars": True}
        ],
        "panels": list(panels(described["rows"])),
    }


def panels(rows: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """From the left to the right, and on in the next line where there is no room."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {"id": number, "type": "row", "title": row["title"], "collapsed": False, "panels": [], "gridPos": _place(0, y, COLUMNS, 1)}
        x, y, high = 0, y + 1, 0
        for described in row["panels"]:
            number += 1
            wide = described.get("width", WIDTH)
            if x + wide > COLUMNS:
                x, y, high = 0, y + high, 0
            panel = _panel(number, described)
            tall = STAT_HEIGHT if panel["type"] == "stat" else HEIGHT
            yield panel | {"gridPos": _place(x, y, wide, tall)}
            x, high = x + wide, max(high, tall)
        y += high


def _panel(number: int, described: Mapping[str, Any]) -> dict[str, Any]:
    kind = described.get("kind", "timeseries")
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    options = {
        "timeseries": {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "value_and_name"},
    }
    return {
        "id": number,
        "type": kind,
        "title": described["title"],
        "description": described.get("about", ""),
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": described.get("unit", "short"), "noValue": "none"}, "overrides": []},
        "options": options[kind],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "editorMode": "code",
                "expr": query,
                "legendFormat": shown,
                "instant": kind == "stat",
                "range": kind != "stat",
            }
            for n, (shown, query) in enumerate(described["queries"].items())
        ],
    }


def _place(x: int, y: int, wide: int, tall: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": wide, "h": tall}


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _jobs() -> dict[str, Any]:
    query = "label_values(redress_build_info, job)"
    return {
        "name": "job",
        "type": "query",
        "label": "Service",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "jobs"},
        "refresh": 2,  # with the range of time
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    }


def drifted() -> list[str]:
    """The files that say otherwise, are missing, or that nothing makes any more."""
    texts = made()
    there: dict[str, str] = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    return sorted(name for name in texts.keys() | there.keys() if texts.get(name) != there.get(name))


def main() -> int:
    """0: written, or in agreement. 1: drifted."""
    parser = argparse.ArgumentParser(prog="python -m redress_local.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file says otherwise")
    different = drifted()
    if not parser.parse_args().check:
        _write(different)
        print("\n".join(different) or "Nothing changed.")
        return 0
    if different:
        print(f"Not as {DESCRIPTION.relative_to(ROOT)} describes them: {', '.join(different)}. Run `make dashboards`.", file=sys.stderr)
        return 1
    return 0


def _write(names: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    texts = made()
    for name in names:
        path: Path = FOLDER / name
        path.write_text(texts[name], "utf-8") if name in texts else path.unlink()


if __name__ == "__main__":
    sys.exit(main())
