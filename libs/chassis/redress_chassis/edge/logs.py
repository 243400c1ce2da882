"""Structured logs: one JSON object a line on stdout, with the trace, and no personal data: no input, no exception messages."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from redress_chassis.edge.trace import CURRENT

LONGEST_FOREIGN = 300  # characters of another library's message
NOISY = ("aiokafka", "asyncio", "httpx", "httpcore")  # their warnings are of interest, their reports are not
SERVICE = "service.name"  # OpenTelemetry's name for it, as trace_id and span_id are
Excinfo = tuple[Any, Any, Any]


def configure(service: str, level: str = "info") -> None:
    """Once per process. uvicorn's own loggers and all others of the standard library end in the same lines."""

    def named(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.pop("service", None)  # the spine names it by itself, for whoever reads its lines without a service around
        event[SERVICE] = service
        if (current := CURRENT.get()) is not None:
            event.setdefault("trace_id", current.trace)
            event.setdefault("span_id", current.span)
        return event

    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        named,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_messages,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_json)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_Stdout,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.set_name("redress")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_first_line, *shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer(serializer=_text)],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if other.get_name() != "redress"), handler]
    root.setLevel(number)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False  # its lines have query strings; the front door writes better ones
    for name in NOISY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


class AccessLog:
    """One line per request. It goes past structlog's chain, which costs more than checking the token and parsing the body."""

    def __init__(self, service: str, level: str = "info") -> None:
        self._service = service
        self._level = level

    def __call__(self, **fields: str | int | float) -> None:
        if self._level in ("debug", "info"):
            usual = {"event": "request", SERVICE: self._service, "level": "info", "timestamp": datetime.now(UTC)}
            _Stdout().msg(orjson.dumps(fields | usual, option=orjson.OPT_UTC_Z))


def frames(error: BaseException) -> list[str]:
    """Where an exception was raised, innermost last, as `file:line function`. Its message stays out: it may quote what was sent."""
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-8:]]


def without_messages(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception becomes its type and its frames."""
    info = event.pop("exc_info", None)
    error = (
        info
        if isinstance(info, BaseException)
        else (info or (None, None))[1]
        if isinstance(info, tuple)
        else sys.exc_info()[1]
        if info
        else None
    )
    if error is not None:
        event["error"] = type(error).__name__
        event["at"] = frames(error)
    return event


def _first_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # asyncio's "exception was never retrieved" and uvicorn's tracebacks go on below with the exception's message.
    event["event"] = str(event["event"]).partition("\n")[0][:LONGEST_FOREIGN]
    return event


def _json(event: Mapping[str, Any], **_: Any) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _text(event: MutableMapping[str, Any], **_: Any) -> str:
    return _json(event).decode()


class _Stdout:
    """Whole lines to whatever stdout is now (tests and process managers exchange it)."""

    def __init__(self, *_: Any) -> None:
        pass

    def msg(self, line: bytes) -> None:
        sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()

    debug = info = warning = error = critical = msg
