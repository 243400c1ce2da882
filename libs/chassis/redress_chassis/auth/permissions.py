"""Who may do what, and to which objects: one table a service. Its endpoints, its documents and the tests read this table alone.

Whoever has several roles may do what any one of them may. An operation that the table does not name is for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from redress_chassis.auth.callers import Caller, Role
from redress_chassis.edge.problems import Problem


class Reach(StrEnum):
    """On which objects a role may carry out an operation. A list holds those objects and no others."""

    ANYTHING = "anything"
    OWN_DEPARTMENT = "own department"  # what lies with the caller's department now; nothing for a caller without one
    OWN = "own"  # what was made under the caller's `sub`


ANYTHING, OWN_DEPARTMENT, OWN = Reach.ANYTHING, Reach.OWN_DEPARTMENT, Reach.OWN
Roles = Mapping[Role, Reach]  # of one operation; a role that is not in it may not carry it out


def _nobodys(state: Any) -> str | None:
    return None


def _always(state: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Permission:
    """One operation: which roles may carry it out, and on which objects. break_glass: those that may read beyond that for a reason."""

    roles: Roles
    department: Callable[[Any], str | None] = _nobodys
    known: Callable[[Any], bool] = _always
    owner: Callable[[Any], str | None] = _nobodys
    break_glass: Collection[Role] = ()

    def admitted(self, caller: Caller) -> tuple[Role, ...]:
        """Those of the caller's roles that may carry it out, the furthest-reaching first. Raises a 403 that names all that may."""
        mine = [role for role in self.roles if role in caller.roles]
        if not mine:
            names, roles = ", ".join(self.roles), "roles" if len(self.roles) > 1 else "role"
            raise Problem(403, "wrong-role", f"This is for the {roles} {names}.")
        return tuple(sorted(mine, key=lambda role: self.roles[role] is not ANYTHING))

    def on(self, caller: Caller, state: Any) -> frozenset[Role]:
        """The roles in which the caller reaches this object; none: to them it does not exist."""
        if not self.known(state):
            return frozenset()
        return frozenset(role for role, reach in self.roles.items() if role in caller.roles and self._within(reach, caller, state))

    @property
    def behind(self) -> frozenset[Role]:
        """The roles that may read one object beyond their reach, where they say why."""
        return frozenset(role for role in self.break_glass if self.roles.get(role, ANYTHING) is not ANYTHING)

    def behind_glass(self, caller: Caller, state: Any) -> frozenset[Role]:
        """Those of them in which the caller may read this object."""
        return self.behind & caller.roles if self.known(state) else frozenset()

    def reaches(self, caller: Caller) -> frozenset[Reach]:
        """How far the caller's roles reach: all objects, those of their department, or their own."""
        return frozenset(reach for role, reach in self.roles.items() if role in caller.roles)

    def _within(self, reach: Reach, caller: Caller, state: Any) -> bool:
        match reach:
            case Reach.ANYTHING:
                return True
            case Reach.OWN_DEPARTMENT:
                return caller.department is not None and caller.department == self.department(state)
            case Reach.OWN:
                return caller.sub == self.owner(state)


NOBODY = Permission({})


@dataclass(frozen=True, slots=True)
class Permissions:
    """A service's table.

    operations: `GET /notes/{note}` → which role reaches what.
    reads: parts of an answer that some roles alone are shown → these roles. What is no such part is shown to all who reach the object.
    department: which department an object lies with, None while it lies with none.
    known: whether there is something to see yet; else the object does not exist for anybody.
    owner: the `sub` of who made an object that is for them alone.
    break_glass: roles that may read one object beyond their reach, where they say why; the audit trail has it.
    """

    operations: Mapping[str, Roles]
    reads: Mapping[str, Collection[Role]] = field(default_factory=dict)
    department: Callable[[Any], str | None] = _nobodys
    known: Callable[[Any], bool] = _always
    owner: Callable[[Any], str | None] = _nobodys
    break_glass: Collection[Role] = ()
    _of: dict[str, Permission] = field(init=False, default_factory=dict)
    _of_route: dict[int, tuple[APIRoute, Permission]] = field(init=False, default_factory=dict)  # by `id`, of routes that stay for it

    def __post_init__(self) -> None:
        about = self.department, self.known, self.owner, self.break_glass
        self._of.update({name: Permission(roles, *about) for name, roles in self.operations.items()})

    def __getitem__(self, operation: str) -> Permission:
        return self._of.get(operation, NOBODY)

    def of(self, route: APIRoute) -> Permission:
        if (known := self._of_route.get(id(route))) is None:
            known = self._of_route[id(route)] = route, self[operation_of(route)]
        return known[1]

    def shown(self, roles: Collection[str]) -> frozenset[str]:
        """The parts of an answer that somebody is shown who reaches the object in these roles."""
        return frozenset(part for part, readers in self.reads.items() if not set(readers).isdisjoint(roles))

    def joined(self, other: Mapping[str, Roles]) -> Permissions:
        """With the operations that every service has."""
        return Permissions({**self.operations, **other}, self.reads, self.department, self.known, self.owner, self.break_glass)

    def check(self, routes: Iterable[BaseRoute], asks: Callable[[APIRoute], bool], open_paths: Collection[str]) -> None:
        """Raises ValueError where a route neither is open by declaration nor asks the table, where the table does not name it, and where an
        entry has no route."""
        names: list[str] = []
        for route in routes:
            path = getattr(route, "path", "")
            if path in open_paths:
                continue
            if not isinstance(route, APIRoute) or not asks(route):
                raise ValueError(f"{path} does not ask who may call it: give its function a parameter `call: Permitted[…]`.")
            names.append(operation_of(route))
        if unlisted := set(names) - self._of.keys():
            raise ValueError(f"Nobody may call {', '.join(sorted(unlisted))}: the table of permissions does not name it.")
        if stale := self._of.keys() - set(names):
            raise ValueError(f"The table of permissions names {', '.join(sorted(stale))}, which is not there.")


def operation_of(route: APIRoute) -> str:
    """Its name in the table. HEAD is a GET without the body."""
    (method,) = (route.methods or set()) - {"HEAD"}
    return f"{method} {route.path}"
