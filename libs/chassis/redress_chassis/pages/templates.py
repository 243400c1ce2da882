"""Pages from Jinja templates. What a template is given is escaped, and a template with code or style in it is refused."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes
from starlette.responses import HTMLResponse

# Scripts, styles and images are files of this service; nobody else shows its pages in a frame, and no form leads elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",  # a page may hold what a customer wrote
}


class BadTemplate(ValueError):
    """A template that its own policy would break, or that does not escape. The message names the file and the place."""


class Pages:
    """The templates of one folder, `*.html`. They are read and checked at once, so a service with a bad one does not start.

    A value that a template names and is not given is an error, never an empty place. Raises BadTemplate, and
    TemplateSyntaxError of Jinja."""

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        for name in self._environment.list_templates(extensions=["html"]):
            _check(self._environment, name, (folder / name).read_text("utf-8"))
            self._environment.get_template(name)

    def answer(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page, in UTF-8, under the policy."""
        return HTMLResponse(self._environment.get_template(template).render(values), status, HEADERS)


def _check(environment: Environment, name: str, source: str) -> None:
    parsed = environment.parse(source, name)
    raw = [node for node in parsed.find_all((nodes.Filter, nodes.ScopedEvalContextModifier)) if getattr(node, "name", "safe") == "safe"]
    if raw:
        raise BadTemplate(f"{name}, line {raw[0].lineno}: what a page shows is escaped, without exception.")
    finder = _Inline()
    finder.feed(source)
    finder.close()
    if finder.found:
        line, what = finder.found[0]
        raise BadTemplate(f"{name}, line {line}: {what} does nothing under the policy. Put it into a file that the service serves.")


class _Inline(HTMLParser):
    """Finds code and style that stand in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self._note(f"a <{tag}> in the page")
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self._note(f"the attribute {name}")
            elif (value or "").strip().lower().startswith("javascript:"):
                self._note(f"a script in {name}")

    def _note(self, what: str) -> None:
        self.found.append((self.getpos()[0], what))
