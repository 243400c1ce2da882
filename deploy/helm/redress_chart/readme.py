"""The chart's README, made from values.yaml: what stands in a line `# --` is said of the value below it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w-]*):(?: |$)")
COMMENT = re.compile(r"^ *# ?(?P<text>.*)$")
LONGEST = 60  # letters of a default that still stands in the table
HEAD = """# The chart `redress`

Written by `make chart` from [values.yaml](values.yaml), whose shapes [values.schema.json](values.schema.json) checks. How to install it, in
order: [docs/production.md](../../../docs/production.md). Three whole sets of values, with what is rendered from them:

{examples}

It brings the services of Redress, and neither Kafka nor PostgreSQL: those are yours, or made by Strimzi and CloudNativePG from objects that
it renders. It holds no password and no key: it names secrets that are there, or says to External Secrets where they come from.

## Secrets that it names

`<release>` is the release's name; each `<service>` is one of {services}.

| secret | keys | for |
|---|---|---|
| `<release>-master-key` | `master.key`, 32 bytes or sealed by Vault | all services, and migrations of those found by personal values |
| `<release>-mac-keys` | `<service>.1.key` for each service, 32 bytes | all services, and their migrations: records prove their source |
| `<release>-<service>-app` | `username`, `password` | the service: `<database>_app` |
| `<release>-<service>-owner` | `username`, `password` | its migration: `<database>_owner` |
| `<release>-<service>-kafka` | `username`, `password`; or `user.crt`, `user.key` | the service, and its migration. Strimzi makes it |
| `<release>-setup-kafka` | the same | the job that makes topics in a Kafka of yours |
| `<release>-tools-kafka`, `<release>-restore-kafka` | the same | an operator's command, as a Job. Strimzi makes them: `kafka.users` |
| `<release>-<service>-tls` | `tls.crt`, `tls.key` | the service, where `tls.enabled`. cert-manager makes it, by `tls.issuer` |

## Values

| value | default | meaning |
|---|---|---|
"""


class Unsaid(Exception):
    """A value has no line `# --`; the message names it."""


def written(values: str, examples: dict[str, str], services: list[str]) -> str:
    """The README. examples: the first lines of each, by its name. Raises Unsaid."""
    listed = "\n".join(
        f"- [{name}](../examples/{name}.yaml) ([rendered](../golden/{name}.yaml)): {text}" for name, text in examples.items()
    )
    head = HEAD.format(examples=listed, services=", ".join(services))
    return head + "".join(f"| `{path}` | {default} | {meaning} |\n" for path, default, meaning in rows(values))


def rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Path, default and meaning of each value, in the order of the file. What is said of a mapping holds for all that is in it.
    Raises Unsaid."""
    values: dict[str, Any] = yaml.safe_load(text)
    said, comment, path = set[str](), list[str](), list[str]()
    for line in text.splitlines():
        if found := COMMENT.match(line):
            comment.append(found["text"])
            continue
        if key := KEY.match(line):
            path = [*path[: len(key["indent"]) // 2], key["key"]]
            begin = next((i for i, each in enumerate(comment) if each.startswith("-- ")), None)
            name = ".".join(path)
            if begin is not None and not any(name.startswith(f"{each}.") for each in said):
                said.add(name)
                meaning = " ".join([comment[begin].removeprefix("-- "), *comment[begin + 1 :]])
                yield name, _default(_at(values, path)), meaning.replace("|", "\\|")
        comment = []
    if missing := [each for each in _leaves(values, "") if not any(each == known or each.startswith(f"{known}.") for known in said)]:
        raise Unsaid(f"values.yaml says nothing of {missing[0]}: write a line `# --` above it.")


def _at(values: Any, path: list[str]) -> Any:
    for each in path:
        values = values[each]
    return values


def _leaves(values: Any, before: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def _default(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`".replace("|", "\\|") if len(text) <= LONGEST else "see the file"
