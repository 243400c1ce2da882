"""From a command to an automation and an effect in another service, on the real servers, as one trace."""

from __future__ import annotations

from dataclasses import replace

from spine_outside import desk, opening
from spine_spans import BEGINNING, TRACE, Notebook, Told
from spine_stack import OPEN, Stack, eventually, metadata, registered

from redress_spine.aggregate import Automation
from redress_spine.processing.reactor import Reactor


async def trace_of(stack: Stack, automations: list[Automation], reactors: list[Reactor], last: str) -> list[Told]:
    """What is told of one registration by intake and handling, until handling has sent what `last` made it say."""
    notebook = Notebook()
    intake = await stack.engine("intake", tracer=notebook)
    await stack.engine("handling", automations=automations, reactors=reactors, tracer=notebook)
    await intake.create("complaint", lambda context: [registered()], replace(metadata("key"), traceparent=BEGINNING))

    async def all_told() -> bool:
        sent = [span.parent for span in notebook.named("send complaints.lifecycle.v1")]
        begun = notebook.named(last)
        return bool(begun) and begun[0].ended is not None and begun[0].traceparent in sent and BEGINNING in sent

    await eventually(all_told)
    return list(notebook.spans)


def tree(spans: list[Told]) -> set[tuple[str, str]]:
    """Names, each with that of its parent."""
    names = {span.traceparent: span.name for span in spans} | {BEGINNING: "the request"}
    return {(span.name, names[span.parent or ""]) for span in spans}


async def test_an_automation_of_another_service_is_of_the_commands_trace(stack: Stack) -> None:
    spans = await trace_of(stack, [OPEN], [], f"automation {OPEN.name}")
    topic, decision = "complaints.lifecycle.v1", f"automation {OPEN.name}"
    assert tree(spans) >= {
        ("commit", "the request"),
        (f"send {topic}", "the request"),
        (f"process {stack.prefix}{topic}", "the request"),
        (decision, "the request"),
        ("commit", decision),
        (f"send {topic}", decision),
    }
    assert all(TRACE in span.traceparent and span.ended == "" and span.link is None for span in spans)


async def test_so_is_an_effect_with_the_event_that_tells_its_end(stack: Stack) -> None:
    async with desk() as other:
        spans = await trace_of(stack, [], [opening(other.address)], "effect opening")
    assert tree(spans) >= {
        ("effect opening", "the request"),
        ("commit", "effect opening"),
        ("send complaints.lifecycle.v1", "effect opening"),
    }
    (effect,) = [span for span in spans if span.name == "effect opening"]
    assert (effect.kind, effect.attributes["redress.outcome"], effect.ended) == ("client", "done", "")


async def test_an_attempt_that_fails_says_so_and_the_next_one_is_of_the_same_trace(stack: Stack) -> None:
    async def at_the_second_time(key: str, times: int) -> int:
        return 200 if times > 1 else 503

    async with desk() as other:
        other.answers = at_the_second_time
        notebook = Notebook()
        intake = await stack.engine("intake", tracer=notebook)
        await stack.engine("handling", automations=[], reactors=[opening(other.address)], tracer=notebook)
        await intake.create("complaint", lambda context: [registered()], replace(metadata("key"), traceparent=BEGINNING))

        async def twice() -> bool:
            return [span.ended for span in notebook.named("effect opening")] == ["failed", ""]

        await eventually(twice)
    attempts = notebook.named("effect opening")
    assert [(span.parent, span.attributes["redress.effect.attempt"]) for span in attempts] == [(BEGINNING, 1), (BEGINNING, 2)]
    assert [span.attributes["redress.outcome"] for span in attempts] == ["failed", "done"]
