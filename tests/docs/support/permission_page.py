"""docs/permissions.md, written from the services' tables of permissions: `python -m permission_page` (`make permissions`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping

from pages import ROOT

from redress_chassis import Service
from redress_chassis.auth.callers import ROLES
from redress_chassis.auth.permissions import Roles
from redress_chassis.operations import parked as ops
from redress_local.places import SERVICES, package

PAGE = ROOT / "docs/permissions.md"
HEAD = """# Who may do what

You get: for each service, which role may call which operation, and on which complaints. Written by `make permissions` from the tables that
the services themselves read; a test compares this page with them, and another one calls every operation in every role.

- **anything**: on every complaint. **own department**: on what lies with the caller's department now, and for a caller without a department
  on nothing. **own**: on what was made under the caller's `sub`. **own, unless shared**: the same; with
  `REDRESS_FRONT_ENDS_REACH=channel` what came by their channels instead, with `anything` all. **anything, unless by area**: the same as
  anything; with `REDRESS_AGENTS_REACH=area` what is in the caller's areas, or in none. **–**: refused with 403. Both settings:
  [duties kept apart](identity.md#duties-kept-apart).
- What is out of reach is answered with 404, as if it were not there; lists leave it out. Each refusal is in the
  [audit trail](personal-data.md#who-read-what).
- Whoever has several roles may do what any one of them may. Events then name the role that reaches furthest, as in `supervisor:alice`.
- An operation that is in no table is for nobody: a service that has one does not start.
- Which department has a complaint is one rule for all services: [`Placement`](../libs/events/redress_events/placement.py).
"""


def service_of(name: str) -> Service:
    service: Service = importlib.import_module(f"{package(name)}.main").service
    return service


def written() -> str:
    """The whole page."""
    return "\n".join(line for part in _parts() for line in part)


def _parts() -> Iterator[list[str]]:
    yield [HEAD]
    for name in SERVICES:
        service, path = service_of(name), f"services/{name}/{package(name)}/permissions.py"
        yield [f"## {name}", "", f"[`PERMISSIONS`](../{path})", ""]
        yield _table({each: roles for each, roles in service.permissions.operations.items() if each not in ops.OPERATIONS})
        if judging := service.permissions.done_by:
            yield ["Not for who did what it judges, but answered with 403 `own-work`, unless `REDRESS_FOUR_EYES=false`:", ""]
            yield [*(f"- `{operation}`: {_said(who)}" for operation, who in judging.items()), ""]
        for operation, roles in service.permissions.by_channel.items():
            yield [
                f"With `REDRESS_FRONT_ENDS_REACH=channel` `{operation}` is for their own channels alone to {', '.join(roles)}: any other is"
            ]
            yield ["answered with 403 `wrong-channel`.", ""]
        if reads := service.permissions.reads:
            yield ["Parts of an answer that some roles alone are shown:", "", "| part | roles |", "|---|---|"]
            yield [f"| {part} | {', '.join(role for role in ROLES if role in roles)} |" for part, roles in reads.items()]
            yield [""]
        if behind := service.permissions.break_glass:
            yield [f"For a reason, that is recorded with their name, one object beyond their reach is read by: {', '.join(behind)}.", ""]
    yield ["## Every service", "", "[`OPERATIONS`](../libs/chassis/redress_chassis/operations/parked.py)", ""]
    yield _table(ops.OPERATIONS)


def _said(function: Callable[..., object]) -> str:
    """What a function is for, on one line."""
    return " ".join((function.__doc__ or "").split())


def _table(operations: Mapping[str, Roles]) -> list[str]:
    head = [f"| operation | {' | '.join(ROLES)} |", "|---" * (len(ROLES) + 1) + "|"]
    return [*head, *(f"| `{name}` | {' | '.join(roles.get(role, '–') for role in ROLES)} |" for name, roles in operations.items()), ""]


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
