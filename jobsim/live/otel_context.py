"""The context of a trace as the headers of a job, by the propagator that is set: W3C's by default."""

import json
from contextvars import Token
from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import extract, inject


def headers_of(context: Context) -> str:
    """Return what is needed to carry `context` on, as JSON; nothing, where there is nothing to be said."""
    carrier: dict[str, str] = {}
    inject(carrier, context)
    return json.dumps(carrier) if carrier else ""


def context_of(headers: str) -> Context:
    """Return the context that `headers` tell of; what others have written there may be anything."""
    try:
        carrier = json.loads(headers) if headers else {}
    except ValueError:
        carrier = {}
    known = carrier.items() if isinstance(carrier, dict) else ()
    return extract({name: text for name, text in known if isinstance(text, str)}, Context())


class Current:
    """Makes a context the current one of this thread or task, and puts back what was before."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token: Token[Context] | None = None

    def enter(self, context: Context) -> None:
        """Make `context` the current one."""
        self._token = attach(context)

    def leave(self) -> None:
        """Put back what was before, if there was a change."""
        if self._token is not None:
            detach(self._token)


class CarriedOn:
    """The block in which the trace that `headers` tell of goes on, in another process."""

    def __init__(self, headers: str) -> None:
        self._context: Final = context_of(headers)
        self._current: Final = Current()

    def __enter__(self) -> None:
        self._current.enter(self._context)

    def __exit__(self, *_: object) -> None:
        self._current.leave()
