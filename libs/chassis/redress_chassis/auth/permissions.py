"""Who may do what, and to which objects: one table a service. Its endpoints, its documents and the tests read this table alone.

Whoever has several roles may do what any one of them may. An operation that the table does not name is for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from redress_chassis.auth.callers import Caller, Role
from redress_chassis.edge.problems import Problem
from redress_events.areas import area_key
from redress_spine.processing.clock import wall_clock


class Reach(StrEnum):
    """On which objects a role may carry out an operation. A list holds those objects and no others."""

    ANYTHING = "anything"
    OWN_DEPARTMENT = "own department"  # what lies with the caller's department now; nothing for a caller without one
    OWN = "own"  # what was made under the caller's `sub`
    OWN_UNLESS_SHARED = "own, unless shared"  # the same, or what came by their channels, or anything, as the installation's settings say
    OWN_CHANNELS = "own channels"  # what came in by one of the caller's channels
    OWN_AREAS = "own areas"  # what is in one of the caller's areas, or in none
    ANYTHING_UNLESS_BY_AREA = "anything, unless by area"  # anything, or what is in the caller's areas, as the settings say


ANYTHING, OWN_DEPARTMENT, OWN, OWN_UNLESS_SHARED = Reach.ANYTHING, Reach.OWN_DEPARTMENT, Reach.OWN, Reach.OWN_UNLESS_SHARED
OWN_CHANNELS, OWN_AREAS, ANYTHING_UNLESS_BY_AREA = Reach.OWN_CHANNELS, Reach.OWN_AREAS, Reach.ANYTHING_UNLESS_BY_AREA
FrontEndsReach = Literal["own", "channel", "anything"]
OF_FRONT_ENDS: Mapping[FrontEndsReach, Reach] = {"own": OWN, "channel": OWN_CHANNELS, "anything": ANYTHING}
Roles = Mapping[Role, Reach]  # of one operation; a role that is not in it may not carry it out


@dataclass(frozen=True, slots=True)
class Duties:
    """What an installation's settings say of the table. front_ends: what `OWN_UNLESS_SHARED` means. agents_by_area: whether
    `ANYTHING_UNLESS_BY_AREA` is by area. four_eyes: what `done_by` of the table says holds. ended_kept: for how long an object that has
    ended still lies with its department; None: forever."""

    front_ends: FrontEndsReach = "own"
    agents_by_area: bool = False
    four_eyes: bool = True
    ended_kept: timedelta | None = None


def _nobodys(state: Any) -> str | None:
    return None


def _never(state: Any) -> datetime | None:
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
    done_by: Callable[[Any], str | None] = _nobodys
    ended_at: Callable[[Any], datetime | None] = _never
    ended_kept: timedelta | None = None
    break_glass: Collection[Role] = ()
    channel: Callable[[Any], str | None] = _nobodys
    area: Callable[[Any], str | None] = _nobodys
    by_channel: Collection[Role] = ()

    def admitted(self, caller: Caller) -> tuple[Role, ...]:
        """Those of the caller's roles that may carry it out, the furthest-reaching first. Raises a 403 that names all that may."""
        mine = [role for role in self.roles if role in caller.roles]
        if not mine:
            names, roles = ", ".join(self.roles), "roles" if len(self.roles) > 1 else "role"
            raise Problem(403, "wrong-role", f"This is for the {roles} {names}.")
        return tuple(sorted(mine, key=lambda role: self.roles[role] is not ANYTHING))

    def on(self, caller: Caller, state: Any, now: datetime | None = None) -> frozenset[Role]:
        """The roles in which the caller reaches this object; none: to them it does not exist. now: the wall clock's, unless given."""
        if not self.known(state):
            return frozenset()
        return frozenset(role for role, reach in self.roles.items() if role in caller.roles and self._within(reach, caller, state, now))

    def expect_other(self, caller: Caller, state: Any) -> None:
        """Raises a 403 where the caller did what this operation judges."""
        if (done_by := self.done_by(state)) is not None and caller.sub == done_by:
            raise Problem(403, "own-work", "Somebody else must do this: it judges what you did yourself.")

    def expect_channel(self, caller: Caller, channel: str) -> None:
        """Raises a 403 where the caller may begin what came by their own channels alone, and this is none of them."""
        if channel in caller.channels or not (caller.roles & self.roles.keys()).issubset(self.by_channel):
            return
        if not caller.channels:
            raise Problem(403, "wrong-channel", "Your token names no channel, so you cannot register anything from a channel.")
        own = ", ".join(sorted(caller.channels))
        raise Problem(403, "wrong-channel", f"You may register only what comes from your own channels: {own}.")

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

    def _within(self, reach: Reach, caller: Caller, state: Any, now: datetime | None) -> bool:
        match reach:
            case Reach.ANYTHING | Reach.ANYTHING_UNLESS_BY_AREA:
                return True
            case Reach.OWN_CHANNELS:
                return self.channel(state) in caller.channels
            case Reach.OWN_AREAS:
                return (area := area_key(self.area(state))) is None or area in caller.areas
            case Reach.OWN_DEPARTMENT:
                return caller.department is not None and caller.department == self.department(state) and not self._over(state, now)
            case Reach.OWN | Reach.OWN_UNLESS_SHARED:
                return caller.sub == self.owner(state)

    def _over(self, state: Any, now: datetime | None) -> bool:
        """It ended so long ago that its department has done with it."""
        if self.ended_kept is None or (ended := self.ended_at(state)) is None:
            return False
        return (now or wall_clock()) - ended > self.ended_kept


NOBODY = Permission({})


@dataclass(frozen=True, slots=True)
class Permissions:
    """A service's table.

    operations: `GET /notes/{note}` → which role reaches what.
    reads: parts of an answer that some roles alone are shown → these roles. What is no such part is shown to all who reach the object.
    department: which department an object lies with, None while it lies with none.
    known: whether there is something to see yet; else the object does not exist for anybody.
    owner: the `sub` of who made an object that is for them alone.
    done_by: operations that judge somebody's work on an object → the `sub` of who did it, and may not judge it.
    ended_at: when an object ended, None while it has not.
    ended_kept: for how long it then lies with its department, as the installation's settings say.
    break_glass: roles that may read one object beyond their reach, where they say why; the audit trail has it.
    channel: by which channel an object came in. area: where it is, None where nobody said.
    by_channel: operations that begin an object → the roles that do so for their own channels alone, where settings say so.
    """

    operations: Mapping[str, Roles]
    reads: Mapping[str, Collection[Role]] = field(default_factory=dict)
    department: Callable[[Any], str | None] = _nobodys
    known: Callable[[Any], bool] = _always
    owner: Callable[[Any], str | None] = _nobodys
    done_by: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    ended_at: Callable[[Any], datetime | None] = _never
    ended_kept: timedelta | None = None
    break_glass: Collection[Role] = ()
    channel: Callable[[Any], str | None] = _nobodys
    area: Callable[[Any], str | None] = _nobodys
    by_channel: Mapping[str, Collection[Role]] = field(default_factory=dict)
    _of: dict[str, Permission] = field(init=False, default_factory=dict)
    _of_route: dict[int, tuple[APIRoute, Permission]] = field(init=False, default_factory=dict)  # by `id`, of routes that stay for it

    def __post_init__(self) -> None:
        for name, roles in self.operations.items():
            self._of[name] = Permission(
                roles,
                self.department,
                self.known,
                self.owner,
                done_by=self.done_by.get(name, _nobodys),
                ended_at=self.ended_at,
                ended_kept=self.ended_kept,
                break_glass=self.break_glass,
                channel=self.channel,
                area=self.area,
                by_channel=self.by_channel.get(name, ()),
            )

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
        return replace(self, operations={**self.operations, **other})

    def under(self, duties: Duties) -> Permissions:
        """As it is in an installation with these settings."""
        meant = {
            OWN_UNLESS_SHARED: OF_FRONT_ENDS[duties.front_ends],
            ANYTHING_UNLESS_BY_AREA: OWN_AREAS if duties.agents_by_area else ANYTHING,
        }
        operations = {name: {role: meant.get(reach, reach) for role, reach in roles.items()} for name, roles in self.operations.items()}
        return replace(
            self,
            operations=operations,
            done_by=self.done_by if duties.four_eyes else {},
            by_channel=self.by_channel if duties.front_ends == "channel" else {},
            ended_kept=duties.ended_kept,
        )

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
        if stale := (self._of.keys() | self.done_by.keys() | self.by_channel.keys()) - set(names):
            raise ValueError(f"The table of permissions names {', '.join(sorted(stale))}, which is not there.")


def operation_of(route: APIRoute) -> str:
    """Its name in the table. HEAD is a GET without the body."""
    (method,) = (route.methods or set()) - {"HEAD"}
    return f"{method} {route.path}"
