"""What the fields, parameters and schemas of a service's interface mean: said once, in words, and put into its OpenAPI document.

A name means the same wherever it stands. Where it does not, the entry names the schema too: `Stage.at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

VIEW, BODY = "View", "Body"  # the ends of our classes' names; the schemas are called without them


@dataclass(frozen=True, slots=True)
class Meanings:
    """summary: what the service is for. tags: what each group of operations is about.

    fields, examples: by a field's or parameter's name, or by `<schema>.<field>`, which goes before. What a schema means, where its
    docstring does not say it, and an example of a whole body stand under the schema's name. names: how schemas are called that do not
    have their class's name without its ending."""

    summary: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def joined(self, other: Meanings) -> Meanings:
        """With what others say, where this says nothing."""
        return Meanings(
            self.summary or other.summary,
            {**other.tags, **self.tags},
            {**other.fields, **self.fields},
            {**other.examples, **self.examples},
            {**other.names, **self.names},
        )

    def of(self, name: str, schema: str = "") -> str | None:
        """What a field of this schema means, or a parameter."""
        return self.fields.get(f"{schema}.{name}") or self.fields.get(name)

    def example(self, name: str, schema: str = "") -> Any:
        """None where there is none. What means something of its own in this schema has no other's example."""
        own = f"{schema}.{name}"
        return self.examples.get(own) if own in self.fields else self.examples.get(own, self.examples.get(name))

    def schemas(self, classes: Iterable[str]) -> dict[str, str]:
        """How the schemas of these classes are called. What is sent to make a `Note` is a `NewNote`."""
        called = {name: self.names.get(name) or _without_ending(name) for name in classes}
        answers = {called[name] for name in called if not name.endswith(BODY)}
        return {
            name: f"New{schema}" if name.endswith(BODY) and name not in self.names and schema in answers else schema
            for name, schema in called.items()
        }


def _without_ending(name: str) -> str:
    return next((name.removesuffix(ending) for ending in (VIEW, BODY) if name.endswith(ending) and name != ending), name)
