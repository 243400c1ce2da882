"""Each service keeps the promises of its own OpenAPI document, for requests that fit it and requests that do not. (schemathesis)

What no document says of each operation holds for all: a HEAD is a GET without its content, and unknown parameters are refused.
A stream does not end, so nobody waits for its whole answer here: `test_streams.py` reads it.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from live import SLOW, Live, fresh_key
from schemathesis import checks
from schemathesis.core.result import Ok

from redress_chassis.auth.callers import ROLES
from redress_local.places import SERVICES

EXAMPLES = 50  # for each service
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_one_that_the_document_promises(live: Live, service: str):
    complaint = live.register(SLOW)
    live.case(complaint, "technical_support")
    document = live.page(service, "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    found = list(schema.get_all_operations())
    operations = [each.ok() for each in found if isinstance(each, Ok)]
    assert operations
    assert len(operations) == len(found)
    operations = [each for each in operations if not is_stream(document["paths"][each.path][each.method])]
    statuses: set[int] = set()
    with live.http(service, ROLES, department="technical_support") as client:
        for operation in operations:
            statuses |= asked(operation, client, complaint, max(2, EXAMPLES // len(operations)))
    assert 200 in statuses, "some of them were well"
    live.verified([service])


OPEN = ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json")


@pytest.mark.parametrize("service", SERVICES)
def test_every_get_answers_a_head_and_no_route_a_parameter_that_it_does_not_know(live: Live, service: str):
    complaint = live.register(SLOW)
    live.case(complaint, "technical_support")
    paths = live.page(service, "/openapi.json").json()["paths"] | {path: {"get": {}} for path in OPEN}
    with live.http(service, ROLES, department="technical_support") as client:
        for template, operations in paths.items():
            path = template.replace("{complaint}", complaint)
            for method, operation in operations.items():
                headers = {"idempotency-key": fresh_key()}
                answer = client.request(method, f"{path}?colour=red", headers=headers)
                errors = answer.json()["errors"]
                assert (answer.status_code, errors[0]["in"], errors[0]["pointer"]) == (422, "query", "/colour"), (method, path)
                for name in (each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"):
                    answer = client.request(method, f"{path}?{name}=1&{name}=1", headers=headers)
                    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "repeated"), (method, path, name)
            if is_stream(operations.get("get", {})):
                continue
            if "get" in operations:
                head, get = client.head(path), client.get(path)
                assert (head.status_code, head.content, head.headers["content-type"]) == (get.status_code, b"", get.headers["content-type"])
            else:
                # `/complaints/search` could be a complaint's path, and is answered as that is: 422, for it is no id.
                assert client.head(path).status_code == client.get(path).status_code in (405, 422)
    live.verified([service])


def is_stream(operation: dict[str, Any]) -> bool:
    return "text/event-stream" in operation.get("responses", {}).get("200", {}).get("content", {})


def asked(operation: Any, client: httpx.Client, complaint: str, examples: int) -> set[int]:
    """The statuses that examples of one operation met. Raises schemathesis' failures, with the request as a curl line."""
    statuses: set[int] = set()

    @seed(20260302)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy())
    def ask(case: Any) -> None:
        if "complaint" in case.path_parameters and len(statuses) % 2 == 0:
            case.path_parameters["complaint"] = complaint
        case.headers["Idempotency-Key"] = fresh_key()  # else shrinking would meet the answers of former examples
        answer = case.call(base_url=str(client.base_url), headers={"authorization": client.headers["authorization"]}, timeout=30)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    return statuses
