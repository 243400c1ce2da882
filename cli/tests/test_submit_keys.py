"""The keys of a file's rows: rows may move and the file may be posted again, and no complaint is made twice; equal rows stay two."""

from typing import Any

from redress_cli.submit import keys

Row = tuple[int, dict[str, Any]]
SLOW: Row = (2, {"channel": "web", "text": "slow"})
LOST: Row = (3, {"channel": "web", "text": "lost"})


def test_a_row_keeps_its_key_wherever_it_stands():
    assert dict(zip("ab", keys([SLOW, LOST]), strict=True)) == dict(zip("ba", keys([LOST, SLOW]), strict=True))


def test_equal_rows_are_two_complaints_and_the_same_two_the_next_time():
    first, second = keys([SLOW, SLOW])
    assert first != second and keys([LOST, SLOW, SLOW])[1:] == [first, second]
