"""Tables and counts that are made of states: what a state that changed does to them, and how that is written in the same transaction.

Nobody reads them to write them. The rows are a pure function of one subject's state, so what has to go and what has to come is known from
the state before and after; and whoever writes them holds the lock of the state's row. A count moves by the difference. Counts are written
last, in the order of their names, behind the locks of all rows: nobody waits in a circle.

Longer than most: what a step changes, and the two statements that write it, depend on the same order of columns, and are read together.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any

from redress_spine.aggregate import Aggregate, Count, Projection, Table
from redress_spine.store.arrays import argument, parameter
from redress_spine.store.states import Connection

Facets = tuple[Any, Any]  # observed, own
Value = tuple[Any, ...]
COUNTED = """
INSERT INTO counts (name, key, n) SELECT c.name, c.key, c.n FROM unnest($1::text[], $2::text[], $3::bigint[]) c (name, key, n)
ORDER BY c.name, c.key ON CONFLICT (name, key) DO UPDATE SET n = counts.n + excluded.n
"""
# Index: counts_pkey.
COUNTS = "SELECT key, n FROM counts WHERE name = $1 AND n <> 0 ORDER BY key"
COUNT_KINDS = ("int", "text", "text", "bigint")  # of an item's number, a name, a key and how far it moves
LOOKUPS = Table("lookups", {"digest": "bytea", "place": "bigint"}, key=("digest", "place"))


class NotProjected(ValueError):
    """A projection raised, or gave something that is no row of its table: the record's fault that made such a state."""


@dataclass(slots=True)
class Changes:
    """What is to be written. gone: keys, came: rows, each behind its subject, by table. counts: how far each moves, by name and key."""

    gone: dict[Table, list[Value]] = field(default_factory=lambda: defaultdict(list))
    came: dict[Table, list[Value]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Changes) -> None:
        for table, keys in other.gone.items():
            self.gone[table].extend(keys)
        for table, rows in other.came.items():
            self.came[table].extend(rows)
        for key, n in other.counts.items():
            self.counts[key] += n

    @property
    def moved(self) -> list[tuple[str, str, int]]:
        """The counts that moved, as rows, in their order."""
        return sorted((name, key, n) for (name, key), n in self.counts.items() if n)


class _Part:
    """Some fields of a facet. values: as they are; seen: the facet with only these, the others with their defaults."""

    def __init__(self, facet: type[Any], names: tuple[str, ...]) -> None:
        nothing = facet()
        fields = [each.name for each in dataclasses.fields(nothing)]
        if unknown := set(names) - set(fields):
            raise ValueError(f"{facet.__name__} has no field {', '.join(sorted(unknown))}.")
        # Defaults are the class's, so that an instance has to take no more than the named fields: a facet has many others.
        others: dict[str, Any] = {name: getattr(nothing, name) for name in fields if name not in names}
        self._shown = type(f"{facet.__name__}Shown", (facet,), {"__slots__": (), **others})
        self._set = [_setter(facet, name) for name in names]
        # Of a single name attrgetter gives the value itself, and no tuple.
        self.values: Callable[[Any], tuple[Any, ...]] = (
            attrgetter(*names) if len(names) > 1 else lambda whole: tuple([getattr(whole, name) for name in names])
        )

    def seen(self, whole: Any) -> Any:
        shown: Any = object.__new__(self._shown)
        for put, value in zip(self._set, self.values(whole), strict=True):
            put(shown, value)
        return shown


def _setter(facet: type[Any], name: str) -> Callable[[Any, Any], None]:
    if not inspect.ismemberdescriptor(slot := getattr(facet, name)):
        raise ValueError(f"{facet.__name__} is no dataclass with slots.")
    setter: Callable[[Any, Any], None] = slot.__set__
    return setter


class _Shown:
    """The projections of one kind that look at the same fields."""

    def __init__(
        self, aggregate: Aggregate, fields: tuple[tuple[str, ...], tuple[str, ...]], projections: Sequence[Projection | Count]
    ) -> None:
        self._state: Callable[..., Any] = aggregate.state
        self.observed, self.own = (_Part(facet, names) for facet, names in zip(aggregate.facets, fields, strict=True))
        self.projections = [each for each in projections if isinstance(each, Projection)]
        self.counts = [each for each in projections if isinstance(each, Count)]

    def seen(self, state: Facets) -> Any:
        """The state as they see it: they cannot depend on fields that they do not name."""
        return self._state(observed=self.observed.seen(state[0]), own=self.own.seen(state[1]))


@cache
def _plan(aggregate: Aggregate) -> list[_Shown]:
    by_fields: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Projection | Count]] = defaultdict(list)
    for each in aggregate.projections:
        by_fields[each.observed, each.own].append(each)
    return [_Shown(aggregate, fields, projections) for fields, projections in by_fields.items()]


def rows_of(aggregate: Aggregate, state: Facets) -> dict[Table, dict[Value, Value]]:
    """A subject's rows, by table and key. Raises NotProjected."""
    found: dict[Table, dict[Value, Value]] = {}
    for shown in _plan(aggregate):
        seen = shown.seen(state)
        found |= {each.table: _by_key(each, _given(each.rows, each.table.name, seen)) for each in shown.projections}
    return found


def counted(aggregate: Aggregate, state: Facets) -> set[tuple[str, str]]:
    """The counts in which a subject is, by name and key. Raises NotProjected."""
    return {
        (each.name, key) for shown in _plan(aggregate) for each in shown.counts for key in _given(each.of, each.name, shown.seen(state))
    }


def _given(make: Callable[[Any], Iterable[Any]], name: str, seen: Any) -> list[Any]:
    try:
        return list(make(seen))
    except Exception as error:
        raise NotProjected(f"{type(error).__name__} while projecting into {name}") from error


def _by_key(each: Projection, rows: Sequence[Value]) -> dict[Value, Value]:
    table = each.table
    places = _key_places(table)
    found: dict[Value, Value] = {}
    for row in rows:
        if len(row) != len(table.columns):
            raise NotProjected(f"A row for {table.name} has not {len(table.columns)} values.")
        if found.setdefault(tuple([row[place] for place in places]) if places else (), row) is not row:
            raise NotProjected(f"Two rows of one subject have the same key in {table.name}.")
    return found


@cache
def _key_places(table: Table) -> list[int]:
    return [list(table.columns).index(name) for name in table.key]


def changes(aggregate: Aggregate, subject: str, before: Facets | None, after: Facets) -> Changes:
    """What the step from one state to another does. before: None where nothing is known of the subject. Raises NotProjected."""
    found = Changes()
    for shown in _plan(aggregate):
        if before is None:
            was = None
        elif not (_differ(shown.observed, before[0], after[0]) or _differ(shown.own, before[1], after[1])):
            continue
        else:
            was = shown.seen(before)
        now = shown.seen(after)
        for each in shown.projections:
            rows = _given(each.rows, each.table.name, now)
            old_rows = [] if was is None else _given(each.rows, each.table.name, was)
            if rows == old_rows:
                continue
            new, old = _by_key(each, rows), _by_key(each, old_rows)
            if gone := [(subject, *place) for place in old if place not in new]:
                found.gone[each.table] += gone
            if came := [(subject, *row) for place, row in new.items() if old.get(place) != row]:
                found.came[each.table] += came
        for count in shown.counts:
            names = _given(count.of, count.name, now)
            old_names = [] if was is None else _given(count.of, count.name, was)
            if names != old_names:
                for name in {*names} ^ {*old_names}:
                    found.counts[count.name, name] += 1 if name in names else -1
    return found


def shows_observed(aggregate: Aggregate, before: Any, after: Any) -> bool:
    """Whether a step of `observed` may change rows."""
    return any(_differ(shown.observed, before, after) for shown in _plan(aggregate))


def shows_own(aggregate: Aggregate, before: Any, after: Any) -> bool:
    """Whether a step of `own` may change rows, and so depends on what was observed."""
    return any(_differ(shown.own, before, after) for shown in _plan(aggregate))


def _differ(part: _Part, before: Any, after: Any) -> bool:
    return before is not after and part.values(before) != part.values(after)


def tables(aggregates: Iterable[Aggregate]) -> list[Table]:
    """All tables that these kinds' projections write."""
    return [each.table for aggregate in aggregates for each in aggregate.projections if isinstance(each, Projection)]


def check(aggregate: Aggregate) -> None:
    """Raises ValueError where a subject of which nothing is known has rows, or a projection names a field that `own` does not have."""
    nothing = aggregate.facets[0](), aggregate.facets[1]()
    there = [table.name for table, rows in rows_of(aggregate, nothing).items() if rows] + [name for name, _ in counted(aggregate, nothing)]
    if there:
        raise ValueError(f"A subject of which nothing is known is in {', '.join(there)}.")


async def write(connection: Connection, found: Changes) -> None:
    """Inside the transaction that holds the locks of the subjects' rows."""
    for table, keys in found.gone.items():
        await connection.execute(gone_sql(table), *_arguments(_kinds(table, table.key)[1:], keys))
    for table, rows in found.came.items():
        if not rows:
            continue
        await connection.execute(came_sql(table), *_arguments(_kinds(table, (*table.columns,))[1:], rows))
    if moved := found.moved:
        await connection.execute(COUNTED, *map(list, zip(*moved, strict=True)))


# SQL that writes rows, made for the number of its first parameter; the types of their columns; the rows.
StatementPart = tuple[Callable[[int], str], Sequence[str], Sequence[Value]]


def with_commit(
    commit: str, taken: int, found: Sequence[tuple[int, Changes]], beside: Sequence[StatementPart] = ()
) -> tuple[str, list[str | list[Any]]]:
    """The statement that commits and, of the items that were committed, writes what they change; and its parameters behind the first
    `taken`. found: by the item's number. beside: what is written whatever becomes of them. With nothing to write it is `commit` itself."""
    gone: dict[Table, list[Value]] = defaultdict(list)
    came: dict[Table, list[Value]] = defaultdict(list)
    counts: list[tuple[int, str, str, int]] = []
    for item, each in found:
        for table, keys in each.gone.items():
            gone[table] += [(item, *key) for key in keys]
        for table, rows in each.came.items():
            came[table] += [(item, *row) for row in rows]
        counts += [(item, *moved) for moved in each.moved]
    parts: list[StatementPart] = [*beside]
    parts += [(_gone_part(table), _kinds(table, table.key), keys) for table, keys in sorted(gone.items(), key=_name)]
    parts += [(_came_part(table), _kinds(table, (*table.columns,)), rows) for table, rows in sorted(came.items(), key=_name)]
    if counts:
        parts.append((_counted_part, COUNT_KINDS, list(counts)))
    if not parts:
        return commit, []
    ctes = [f"outcomes AS MATERIALIZED ({commit})"]
    parameters: list[str | list[Any]] = []
    for n, (part, kinds, written) in enumerate(parts):
        ctes.append(f"part{n} AS ({part(taken + len(parameters) + 1)})")
        parameters += _arguments(kinds, written)
    return f"WITH {', '.join(ctes)} SELECT * FROM outcomes", parameters


@cache
def gone_sql(table: Table) -> str:
    given, names = _parameters(table, ("subject", *table.key), 1)
    return f"DELETE FROM {table.name} t USING unnest({given}) d ({names}) WHERE {_same(table)}"


@cache
def came_sql(table: Table) -> str:
    given, names = _parameters(table, ("subject", *table.columns), 1)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({given}) {_or_update(table)}"


def _gone_part(table: Table) -> Callable[[int], str]:
    def part(first: int) -> str:
        given, names = _parameters(table, ("item", "subject", *table.key), first)
        return (
            f"DELETE FROM {table.name} t USING unnest({given}) d ({names}), outcomes o "
            f"WHERE o.item = d.item AND o.outcome = 'committed' AND {_same(table)}"
        )

    return part


def _came_part(table: Table) -> Callable[[int], str]:
    def part(first: int) -> str:
        given, names = _parameters(table, ("item", "subject", *table.columns), first)
        values = ", ".join(f"d.{name}" for name in ("subject", *table.columns))
        return (
            f"INSERT INTO {table.name} ({', '.join(('subject', *table.columns))}) SELECT {values} FROM unnest({given}) d ({names}) "
            f"JOIN outcomes o ON o.item = d.item WHERE o.outcome = 'committed' {_or_update(table)}"
        )

    return part


def _counted_part(first: int) -> str:
    given = ", ".join(parameter(first + n, kind) for n, kind in enumerate(COUNT_KINDS))
    return (
        f"INSERT INTO counts (name, key, n) SELECT d.name, d.key, sum(d.n) "
        f"FROM unnest({given}) d (item, name, key, n) "
        "JOIN outcomes o ON o.item = d.item WHERE o.outcome = 'committed' GROUP BY d.name, d.key HAVING sum(d.n) <> 0 "
        "ORDER BY d.name, d.key ON CONFLICT (name, key) DO UPDATE SET n = counts.n + excluded.n"
    )


def _parameters(table: Table, names: Sequence[str], first: int) -> tuple[str, str]:
    types: Mapping[str, str] = {"item": "int", "subject": "text", **table.columns}
    return ", ".join(parameter(first + n, types[name]) for n, name in enumerate(names)), ", ".join(names)


def _arguments(kinds: Sequence[str], rows: Sequence[Value]) -> list[str | list[Any]]:
    return [argument(kind, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]


@cache
def _kinds(table: Table, names: tuple[str, ...]) -> list[str]:
    """The types of an item's number, a subject, and these columns."""
    return ["int", "text", *(table.columns[name] for name in names)]


def _same(table: Table) -> str:
    return " AND ".join(f"t.{name} = d.{name}" for name in ("subject", *table.key))


def _or_update(table: Table) -> str:
    others = [name for name in table.columns if name not in table.key]
    change = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}" if others else "NOTHING"
    return f"ON CONFLICT ({', '.join(('subject', *table.key))}) DO {change}"


def _name(item: tuple[Table, Any]) -> str:
    return item[0].name
