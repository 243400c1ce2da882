"""A page is served to whom the table of permissions lets in; what it shows is escaped; nothing that stands in it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import UndefinedError

from redress_chassis import ANYTHING, Permissions, Permitted, Service, SubjectId, problems
from redress_chassis.pages import BadTemplate, Pages
from redress_events.event import Contract
from redress_spine.aggregate import Aggregate

NOTE = "00000000-0000-7000-8000-000000000001"
PATH = f"/notes/{NOTE}/page"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service whose one endpoint shows a note as a page."""
    (tmp_path / "note.html").write_text("<!doctype html>\n<title>Note</title>\n{% for text in texts %}\n<p>{{ text }}</p>\n{% endfor %}\n")
    pages, router, contract = Pages(tmp_path), APIRouter(), Contract("jar")

    @router.get("/notes/{note}/page", response_class=HTMLResponse, responses=problems(404))
    async def note_page(note: SubjectId, call: Permitted[Any]) -> HTMLResponse:
        return pages.answer("note.html", texts=(await call.read(note, kind="note")).state)

    return Service(
        "jar",
        aggregates={"note": Aggregate(object, lambda observed, event, at: observed, lambda own, event, at: own)},
        contract=contract,
        contracts={"jar": contract},
        permissions=Permissions({"GET /notes/{note}/page": {"agent": ANYTHING}}),
        routes=[router],
    )


async def test_what_a_page_shows_is_escaped_and_the_browser_is_told_to_run_nothing_of_it(client: httpx.AsyncClient, jar: Any, issuer: Any):
    jar.rows[f"note/{NOTE}"] = ("<script>alert(1)</script> & 断网",)
    answer = await client.get(PATH, headers={"authorization": f"Bearer {issuer.token('agent')}"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text == "<!doctype html>\n<title>Note</title>\n<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; 断网</p>\n"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_a_page_is_for_those_whom_the_table_lets_in(client: httpx.AsyncClient, issuer: Any):
    assert (await client.get(PATH)).status_code == 401
    assert (await client.get(PATH, headers={"authorization": f"Bearer {issuer.token('handler')}"})).status_code == 403
    unknown = await client.get(PATH, headers={"authorization": f"Bearer {issuer.token('agent')}"})
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("<p>\n<script>go()</script>", "line 2: a <script> in the page"),
        ("<style>p { color: red }</style>", "line 1: a <style> in the page"),
        ('<p onclick="go()">', "line 1: the attribute onclick"),
        ('<p\nSTYLE="color: red">', "line 1: the attribute style"),
        ('<a href=" JavaScript:go()">', "line 1: a script in href"),
        ("<p>{{ text | safe }}</p>", "line 1: what a page shows is escaped"),
        ("<p>\n{% autoescape false %}{{ text }}{% endautoescape %}</p>", "line 2: what a page shows is escaped"),
    ],
)
def test_a_template_with_code_or_style_in_it_or_without_escaping_is_refused(tmp_path: Path, source: str, place: str):
    (tmp_path / "page.html").write_text(source)
    with pytest.raises(BadTemplate, match=f"page.html, {place}"):
        Pages(tmp_path)


def test_scripts_and_styles_that_are_files_are_taken(tmp_path: Path):
    source = '<script src="/page.js"></script><link rel="stylesheet" href="/page.css"><p>{{ text | upper }}</p>'
    (tmp_path / "page.html").write_text(source)
    assert Pages(tmp_path).answer("page.html", 404, text="a").status_code == 404


def test_a_value_that_is_missing_is_an_error_and_no_empty_place(tmp_path: Path):
    (tmp_path / "page.html").write_text("<p>{{ text }}</p>")
    with pytest.raises(UndefinedError):
        Pages(tmp_path).answer("page.html")
