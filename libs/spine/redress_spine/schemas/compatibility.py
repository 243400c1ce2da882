"""May a published type change like this: full transitive compatibility, and what to do instead.

Events are kept forever, and services are deployed one by one. So today's readers must understand every event ever written under a type,
and yesterday's readers every event written today. A published type may gain optional fields, and nothing else, with one decided exception:

**An enumeration may gain values, never lose them.** Strictly that breaks yesterday's closed readers. Here it costs little: readers are
deployed before writers, a service that meets a value it does not know parks that subject, and its events are folded in order once the
service is deployed. Making `ComplaintRegisteredV2` for each new channel would cost every reader more. On public topics, whose readers are
strangers, the schema shows enumerations open (`x-extensible-enum`), and the contract tells readers to expect values they do not know.
"""

from __future__ import annotations

from typing import Any, Final

from redress_spine.schemas.json_schema import OPEN_ENUM, Schema

WORDS: Final = frozenset({"$schema", "$id", "title", "description"})  # for people: they may change at any time
HANDLED: Final = frozenset({"properties", "required", "items", "anyOf", "enum", OPEN_ENUM})
_ABSENT: Final = object()


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Why a type that was published as `old` must not become `new`: one clause for each reason, empty when it may."""
    return _differences(old, new, "")


def same(old: Schema, new: Schema) -> bool:
    """True when nothing but words for people differs."""
    return _without_words(old) == _without_words(new)


def _differences(old: Schema, new: Schema, where: str) -> list[str]:
    found = [
        f"{_named(where)} changed its {keyword} from {_shown(old, keyword)} to {_shown(new, keyword)}"
        for keyword in sorted((old.keys() | new.keys()) - WORDS - HANDLED)
        if old.get(keyword, _ABSENT) != new.get(keyword, _ABSENT)
    ]
    for keyword in ("enum", OPEN_ENUM):
        if (keyword in old) != (keyword in new):
            found.append(f"{_named(where)} {'is no longer' if keyword in old else 'became'} an enumeration")
        elif lost := [value for value in old.get(keyword, ()) if value not in new[keyword]]:
            found.append(f"{_named(where)} lost the value{'s' * (len(lost) > 1)} {', '.join(map(str, lost))}, which events on the log have")
    if ("items" in old) != ("items" in new) or len(old.get("anyOf", ())) != len(new.get("anyOf", ())):
        found.append(f"{_named(where)} changed its type")
    else:
        if "items" in old:
            found += _differences(old["items"], new["items"], f"{where}[]")
        for was, now in zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=True):
            found += _differences(was, now, where)
    return found + _fields(old, new, where)


def _fields(old: Schema, new: Schema, where: str) -> list[str]:
    found = []
    before, after = old.get("properties", {}), new.get("properties", {})
    must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
    for name, was in before.items():
        path = f"{where}.{name}".lstrip(".")
        if name not in after:
            found.append(f"{_named(path)} is gone, but events on the log have it and readers may need it")
            continue
        if name in must_before - must_after:
            found.append(f"{_named(path)} became optional, but readers rely on it")
        elif name in must_after - must_before:
            found.append(f"{_named(path)} became required, but events on the log lack it")
        found += _differences(was, after[name], path)
    for name in after.keys() - before.keys():
        if name in must_after:
            path = f"{where}.{name}".lstrip(".")
            found.append(f"{_named(path)} is new and required, but events on the log lack it: give it a default")
    return found


def _named(where: str) -> str:
    return f"`{where}`" if where else "the type"


def _shown(schema: Schema, keyword: str) -> str:
    return repr(schema[keyword]) if keyword in schema else "nothing"


def _without_words(schema: Schema) -> Schema:
    """The schema without what is for people. The names of properties are no keywords, whatever they are called."""

    def bare(value: Any, *, names: bool) -> Any:
        if isinstance(value, list):
            return [bare(item, names=False) for item in value]
        if not isinstance(value, dict):
            return value
        return {key: bare(item, names=key == "properties" and not names) for key, item in value.items() if names or key not in WORDS}

    result: Schema = bare(schema, names=False)
    return result
