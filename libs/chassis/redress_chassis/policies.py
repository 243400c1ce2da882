"""What a service decides by and its operator may change, from YAML files: read and checked when an app of the service starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

Policy = TypeVar("Policy")


class PolicyUnusable(Exception):
    """A policy cannot be read, or is not one. A line for each thing wrong: the file, the place in it, what is allowed there,
    and in which line of the file."""

    @classmethod
    def at(cls, path: Path, flaws: Sequence[tuple[str, str]], setting: str | None = None) -> Self:
        """flaws: places, as `clocks.resolve.target`, each with what is wrong there. setting: the variable that named the file."""
        file = f"The policy {path}{f' ({setting})' if setting else ''}"
        return cls("\n".join(f"{file}: {place}: {why}{_line(path, place)}" if place else f"{file}: {why}" for place, why in flaws))


def read_policy(path: Path, shape: type[Policy], setting: str | None = None) -> Policy:
    """The policy in a file. shape: what pydantic checks it by. setting: the variable that named the file. Raises PolicyUnusable."""
    adapter = TypeAdapter(shape)
    try:
        return adapter.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PolicyUnusable.at(path, [("", f"It cannot be read: {error.strerror}.")], setting) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyUnusable.at(path, [("", f"It is not YAML in UTF-8: {' '.join(str(error).split())}")], setting) from None
    except ValidationError as error:
        raise PolicyUnusable.at(path, list(_flaws(error, adapter)), setting) from None


def _flaws(error: ValidationError, adapter: TypeAdapter[Any]) -> Iterator[tuple[str, str]]:
    for each in error.errors(include_url=False, include_input=False):
        place = [step for step in each["loc"] if step != "[key]"]
        why = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            why = f"There is no such key; the keys are {', '.join(_keys(adapter.json_schema(), place[:-1]))}."
        yield ".".join(map(str, place)), why


def _line(path: Path, place: str) -> str:
    """Where a place, as `clocks.resolve.target` or `spare.1`, is in the file, as far as it is there; empty where it cannot be said."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    line = None
    for step in place.split("."):
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
        else:
            listed = dict(enumerate(node.value)) if isinstance(node, yaml.SequenceNode) else {}
            item = listed.get(int(step)) if step.isdecimal() else None
            found = (item, item) if item else None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return f" (line {line})" if line else ""


def _keys(schema: Mapping[str, Any], place: Sequence[int | str]) -> list[str]:
    """The keys that a place of a document may have, by its JSON Schema."""
    here = schema
    for step in (*place, None):
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
        if step is not None:
            here = here["items"] if isinstance(step, int) else here.get("properties", {}).get(step) or here["additionalProperties"]
    return list(here["properties"])
