"""The OpenAPI document, and two pages that show it: Swagger UI to try the interface, Redoc to read about it. Without a token.

Their scripts and styles come with the package fastapi-offline, and nothing is asked of another host: a closed network shows them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

DOCUMENT, SWAGGER_UI, REDOC = "/openapi.json", "/docs", "/docs/redoc"
FILES: Mapping[str, str] = {  # of the package, by their media types
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
# Apart from the pages, so that no page has a script in it.
STARTS: Mapping[str, str] = {
    "swagger-ui-start.js": 'SwaggerUIBundle({url: document.body.dataset.document, dom_id: "#page", validatorUrl: null});',
    "redoc-start.js": (
        'Redoc.init(document.body.dataset.document, {disableSearch: true, nativeScrollbars: true}, document.getElementById("page"));'
    ),
}
PATHS = (DOCUMENT, SWAGGER_UI, REDOC, *(f"/docs/{name}" for name in (*FILES, *STARTS)))
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{root}/docs/favicon.png">
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
</head>
<body data-document="{root}{document}">
<div id="page"></div>
<script src="{root}/docs/{script}"></script>
<script src="{root}/docs/{start}"></script>
</body>
</html>
"""


async def openapi_document(request: Request) -> Response:
    """Behind a proxy that shows the service under a path, with that path."""
    document = request.app.openapi()
    if root := _root(request):
        document = document | {"servers": [{"url": root, "description": document["servers"][0]["description"]}]}
    return JSONResponse(document)


async def swagger_ui(request: Request) -> Response:
    return _page(request, "swagger-ui-bundle.js", "swagger-ui-start.js")


async def redoc(request: Request) -> Response:
    return _page(request, "redoc.standalone.js", "redoc-start.js")


async def file(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    if name in STARTS:
        return Response(STARTS[name], media_type="text/javascript")
    return Response(_content(name), media_type=FILES[name])


@cache
def _content(name: str) -> bytes:
    return resources.files("fastapi_offline").joinpath("static", name).read_bytes()


def _page(request: Request, script: str, start: str) -> Response:
    title, root = escape(request.app.title), escape(_root(request))
    return HTMLResponse(PAGE.format(title=title, root=root, document=DOCUMENT, script=script, start=start))


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


routes = [
    Route(DOCUMENT, openapi_document),
    Route(SWAGGER_UI, swagger_ui),
    Route(REDOC, redoc),
    *(Route(f"/docs/{name}", file) for name in (*FILES, *STARTS)),
]
