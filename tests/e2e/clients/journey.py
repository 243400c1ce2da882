# mypy: ignore-errors
"""A complaint from its registration to its end, by clients that openapi-python-client made of the services' OpenAPI documents.

The test makes them beside this file as intake_client, handling_client and callback_client, and gives addresses and tokens in JOURNEY.
"""

import json
import os
import time
import uuid
from datetime import UTC, datetime

from callback_client import AuthenticatedClient as CallbackClient
from callback_client.api.visits import record_attempt
from callback_client.models import Attempt
from handling_client import AuthenticatedClient as HandlingClient
from handling_client.api.cases import accept_case, contact_customer, read_case, resolve_case
from handling_client.models import Case, Contact, ContactMeans, Resolution, ResolutionToldCustomer
from intake_client import AuthenticatedClient as IntakeClient
from intake_client.api.complaints import list_stages, read_complaint, register_complaint, supplement_complaint
from intake_client.models import ComplaintStage, NewComplaint, NewComplaintChannel, Problem, Registered, Supplement

given = json.loads(os.environ["JOURNEY"])
address, token = given["addresses"], given["tokens"]
front_end = IntakeClient(base_url=address["intake"], token=token["front-end"])
handler = HandlingClient(base_url=address["handling"], token=token["handler"])
agent = CallbackClient(base_url=address["callback"], token=token["agent"])


def key() -> str:
    return str(uuid.uuid4())


def eventually(ask, so):
    """The first answer of which it is so."""
    end = time.monotonic() + given["within"]
    while not so(answer := ask()):
        assert time.monotonic() < end, answer
        time.sleep(0.1)
    return answer


def stands(stage: ComplaintStage):
    return eventually(lambda: read_complaint.sync(complaint, client=front_end), lambda seen: seen.stage == stage)


refused = register_complaint.sync(client=front_end, body=NewComplaint(channel=NewComplaintChannel.WEB, text=" "), idempotency_key=key())
assert isinstance(refused, Problem) and (refused.code, refused.pointer) == ("invalid", "/text"), refused

new = NewComplaint(channel=NewComplaintChannel.APP, text=given["text"], customer="Zhang Wei", received_at=datetime.now(UTC))
own = key()
registered = register_complaint.sync_detailed(client=front_end, body=new, idempotency_key=own)
assert isinstance(registered.parsed, Registered) and registered.headers["etag"], registered
complaint = registered.parsed.id
assert registered.headers["location"] == f"/complaints/{complaint}"
again = register_complaint.sync_detailed(client=front_end, body=new, idempotency_key=own)
assert (again.parsed.id, again.headers["idempotency-replayed"]) == (complaint, "true")
supplement_complaint.sync(complaint, client=front_end, body=Supplement(text="The light is red."), idempotency_key=key())

eventually(lambda: read_case.sync(complaint, client=handler), lambda case: isinstance(case, Case) and case.stage == "open")
accept_case.sync(complaint, client=handler, idempotency_key=key())
contact_customer.sync(complaint, client=handler, body=Contact(means=ContactMeans.PHONE), idempotency_key=key())
outcome = Resolution("A worn splice", "Spliced anew", "Field team 2", ResolutionToldCustomer.PHONE)
resolve_case.sync(complaint, client=handler, body=outcome, idempotency_key=key())

stands(ComplaintStage.BEING_VISITED)
said = Attempt(reached=True, solved=True, satisfaction=5)
eventually(
    lambda: record_attempt.sync_detailed(complaint, client=agent, body=said, idempotency_key=key()),
    lambda answer: answer.status_code == 200,
)
closed = stands(ComplaintStage.CLOSED)
assert closed.closed_as == "satisfied", closed
stages = [each.stage for each in list_stages.sync(complaint, client=front_end).items]
assert stages[0] == "closed" and "in-handling" in stages, stages
print(closed.number)
