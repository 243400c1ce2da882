"""Pages whose steps are literal are followed literally, in a copy: each step can be done, each command succeeds, and no file is touched
that the page does not name at its head. The lint and the tests that a page ends with take minutes: `make pages` runs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from changes import NotFollowed, checks, edit, follow, is_literal, is_named, touched
from copied import changed, commit, copy_to, prepare, reset
from pages import Page, pages

LITERAL = [page for page in pages() if is_literal(page)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    copy = copy_to(tmp_path_factory.mktemp("changes") / "redress")
    commit(copy)
    return copy, prepare(copy)


@pytest.fixture
def copy(prepared: tuple[Path, dict[str, str]]) -> Path:
    reset(prepared[0])
    return prepared[0]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", LITERAL, ids=lambda each: each.path.stem)
def test_a_change_is_made_as_its_page_says(page: Page, copy: Path, prepared: tuple[Path, dict[str, str]]):
    follow(page, copy, prepared[1], to_the_end=bool(os.environ.get("PAGES_TO_THE_END")))
    names, files = touched(page), changed(copy)
    assert [each for each in files if not is_named(each, names)] == [], "touched, and not named at the head of the page"
    assert [name for name in names if not any(is_named(each, [name]) for each in files)] == [], "named, and not touched"


def test_an_edit_is_refused_where_its_place_is_not_there_once(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("a = 1\nb = 2\nb = 2\n")
    edit(file, " a = 1\n+c = 3\n")
    assert file.read_text() == "a = 1\nc = 3\nb = 2\nb = 2\n"
    for diff in (" b = 2\n+d = 4\n", " a = 2\n+d = 4\n", "+d = 4\n", " = 1\n+d\n"):
        with pytest.raises(NotFollowed):
            edit(file, diff)


def test_what_checks_a_change_is_told_from_what_makes_it():
    made = ["make schemas", "sed -i 's/a/b/' c", "make folds", "make lint", '.venv/bin/python -m pytest -q tests/docs -m "not slow"']
    assert [checks(line) for line in made] == [False, False, False, True, True]


def test_a_page_names_files_folders_and_patterns(tmp_path: Path):
    (tmp_path / "page.md").write_text("# A\n\nYou get: `x/none`.\n\nYou touch: `a/b.py`, `c/`,\n`d/*.json`.\n\n`e/f.py`\n")
    names = touched(Page(tmp_path / "page.md"))
    assert names == ["a/b.py", "c/", "d/*.json"]
    assert [each for each in ("a/b.py", "c/x", "d/1.json", "d/2.py", "a/b.pyc") if is_named(each, names)] == ["a/b.py", "c/x", "d/1.json"]
