"""The folder `schemas/`: what has to stand in it for today's contracts, and why a change may not be published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import yaml

from redress_events.event import Contract, Event, family_and_version
from redress_spine.schemas import golden
from redress_spine.schemas.asyncapi import document
from redress_spine.schemas.compatibility import incompatibilities, same
from redress_spine.schemas.json_schema import Schema, schema_of

ENTRY: Final = re.compile(r"([1-9][0-9]*)-([0-9a-f]{12})\.json")
MIRRORS: Final = ("json", "asyncapi")  # written again each time; published/ and golden/ only grow


@dataclass(frozen=True)
class Plan:
    """What the folder needs.

    mirrored: all files that mirror the code, by their path in the folder. grown: files that only ever get added, where missing.
    stale: mirrors of nothing. refusals: sentences, each one a reason to write nothing at all.
    """

    mirrored: Mapping[str, bytes] = field(default_factory=dict)
    grown: Mapping[str, bytes] = field(default_factory=dict)
    stale: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Path, contracts: Iterable[Contract]) -> Self:
        """What the folder at `root` needs to agree with these contracts. Reads it, changes nothing."""
        mirrored: dict[str, bytes] = {}
        grown: dict[str, bytes] = {}
        refusals: list[str] = []
        known: set[str] = set()
        for contract in contracts:
            schemas = {kind: schema_of(kind, event) for kind, event in contract.by_type.items()}
            known |= schemas.keys()
            revision = 0
            for kind, event in contract.by_type.items():
                mirrored[f"json/{kind}.json"] = _json(schemas[kind])
                history = _History.read(root, kind)
                refusals += history.refusals(kind, event, schemas[kind])
                try:
                    added = history.additions(kind, event, schemas[kind])
                except golden.NoSample as refusal:
                    refusals.append(str(refusal))
                    continue
                grown |= added
                revision += len(history.entries) + any(path.startswith("published/") for path in added)
            mirrored[f"asyncapi/{contract.source}.yaml"] = _yaml(document(contract, schemas, revision))
        refusals += [_orphan(path.name) for path in sorted(root.glob("published/*")) if path.name not in known]
        there = (str(path.relative_to(root)) for mirror in MIRRORS for path in sorted(root.glob(f"{mirror}/*")))
        return cls(mirrored, grown, tuple(path for path in there if path not in mirrored), tuple(refusals))

    def drift(self, root: Path) -> list[str]:
        """How the folder differs from the plan: unified diffs of files, and the paths that are missing or too many."""
        found = [f"{path} is missing.\n" for path in self.grown]
        found += [f"{path} no longer corresponds to anything in the contracts.\n" for path in self.stale]
        for path, wanted in self.mirrored.items():
            try:
                there = (root / path).read_bytes()
            except FileNotFoundError:
                found.append(f"{path} is missing.\n")
                continue
            if there != wanted:
                old, new = (text.decode(errors="replace").splitlines(keepends=True) for text in (there, wanted))
                found.append("".join(unified_diff(old, new, f"{path} (committed)", f"{path} (from the code)")))
        return found

    def write(self, root: Path) -> list[str]:
        """Make the folder agree; returns the paths that changed. What was published before is never touched."""
        changed = []
        for path, content in (*self.mirrored.items(), *self.grown.items()):
            target = root / path
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                changed.append(path)
        for path in self.stale:
            (root / path).unlink()
        return [*changed, *self.stale]


@dataclass(frozen=True)
class _History:
    """All forms in which a type was ever published, oldest first, and its golden files. faults: what is wrong with the history itself."""

    entries: tuple[tuple[str, Schema], ...]
    golden: frozenset[str]
    faults: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, kind: str) -> Self:
        entries: list[tuple[str, Schema]] = []
        faults: list[str] = []
        folder = root / "published" / kind
        for path in sorted(folder.glob("*"), key=lambda path: (len(path.name.partition("-")[0]), path.name)):
            named, content = ENTRY.fullmatch(path.name), path.read_bytes()
            place = f"published/{kind}/{path.name}"
            if named is None or int(named[1]) != len(entries) + 1:
                faults.append(f"{place} is not entry {len(entries) + 1}: entries are numbered 1, 2, 3 … and only ever added.")
            elif named[2] != _digest(content):
                faults.append(f"{place} was changed after it was published: restore it from the history of the repository.")
            else:
                entries.append((place, json.loads(content)))
        return cls(tuple(entries), frozenset(path.name for path in (root / "golden" / kind).glob("*")), tuple(faults))

    def refusals(self, kind: str, event: type[Event], schema: Schema) -> list[str]:
        reasons: dict[str, str] = {}  # each reason once, with the first form that it breaks
        for place, old in self.entries:
            for reason in incompatibilities(old, schema):
                reasons.setdefault(reason, place)
        return [
            *self.faults,
            *(
                f"{kind}: {reason}. Leave {event.__name__} as it was published, and make a {_next(event)} class for the new meaning."
                f" (Against {place}. {_unreleased(kind)})"
                for reason, place in reasons.items()
            ),
        ]

    def additions(self, kind: str, event: type[Event], schema: Schema) -> dict[str, bytes]:
        """Files by path: a new entry if the type changed, and golden files of the newest form if they are missing."""
        content = _json(schema)
        changed = not self.entries or not same(self.entries[-1][1], schema)
        number = len(self.entries) + changed
        added = {f"published/{kind}/{number}-{_digest(content)}.json": content} if changed else {}
        suffix = f"-{number}" if number > 1 else ""  # the first two are full.json and minimal.json; a form with more fields adds its own
        for name, make in ((f"full{suffix}.json", golden.full), (f"minimal{suffix}.json", golden.minimal)):
            if name not in self.golden and (number == 1 or make is golden.full):
                added[f"golden/{kind}/{name}"] = make(kind, event, schema) + b"\n"
        return added


def _orphan(kind: str) -> str:
    return f"{kind} is published, but no contract has its class. Its events stay on the log permanently: put it back. ({_unreleased(kind)})"


def _unreleased(kind: str) -> str:
    return f"If no release ever carried it, delete schemas/published/{kind} and schemas/golden/{kind} and generate again."


def _next(event: type[Event]) -> str:
    _, version = family_and_version(event.__name__)
    return f"{event.__name__.removesuffix(f'V{version}')}V{version + 1}"


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:12]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


class _Dumper(yaml.SafeDumper):
    """Without anchors: readers should not have to know them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any) -> bytes:
    head = "# Written by `python -m redress_spine.schemas` from the contracts. Do not edit.\n"
    return (head + yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)).encode()
