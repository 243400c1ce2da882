"""Forget complaints: what their customers gave and said becomes permanently unreadable in every service."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import typer

from redress_cli.api import Api, said
from redress_cli.consent import Yes, accountable, ask_whatever
from redress_cli.console import fail, out
from redress_cli.harmless import harmless
from redress_cli.target import ContextName, StackFolder, installation


class Asker(StrEnum):
    """Who wants it forgotten, as the service names them."""

    CUSTOMER = "customer"
    RETENTION = "retention"
    COURT = "court"


def forget(
    complaint: Annotated[list[str], typer.Argument(metavar="NUMBER…", help="Numbers or ids of complaints that are closed.")],
    reason: Annotated[
        str,
        typer.Option(help="The reason, in 20 to 200 characters. It is kept permanently in plain text: write nothing about the customer."),
    ],
    asked_by: Annotated[Asker, typer.Option(help="Who asks for it: the customer, your own retention rule, or a court.")],
    yes: Yes = False,
    folder: StackFolder = None,
    context: ContextName = None,
) -> None:
    """Make everything that the customers of these complaints gave and said permanently unreadable. Numbers, times and categories stay.

    It needs a supervisor's token. A complaint that is not closed is refused, and the others are forgotten all the same.

    Example:

        redress forget 7G2K-9QXR-4M --asked-by customer --reason "Letter of 2 March, ticket 4711"
    """
    where = installation(folder, context)
    api = Api(where, "supervisor")
    found = list({each["id"]: each for each in (_found(api, each) for each in complaint)}.values())
    named = ", ".join(f"{each['number']} ({each['stage']}, registered {each['registered_at'][:10]})" for each in found)
    ask_whatever(f"make all words of {named} permanently unreadable in every service of {where.name}", yes)
    refused = []
    with accountable("forget", where, complaints=[each["id"] for each in found], asked_by=asked_by.value, reason=reason):
        for each in found:
            answer = api.post("intake", f"/complaints/{each['id']}/forgetting", {"asked_by": asked_by.value, "reason": reason})
            if answer.status_code == 200:
                out.print(harmless(f"{each['number']} is forgotten since {answer.json()['forgotten_at']}."), markup=False)
            else:
                refused.append(f"{each['number']} is not forgotten: {said(answer)}")
        if refused:
            fail("\n".join(refused))


def _found(api: Api, named: str) -> dict[str, Any]:
    try:
        path = f"/complaints/{UUID(named)}"
    except ValueError:
        path = f"/complaints/by-number/{quote(named, safe='')}"
    answer = api.get("intake", path)
    if answer.status_code != 200:
        fail(f"{named}: intake answered {answer.status_code}: {said(answer)}")
    found: dict[str, Any] = answer.json()
    return found
