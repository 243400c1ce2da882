"""The lists that template shows: none yet."""

from redress_spine.store.states import Query

QUERIES: list[Query] = []
