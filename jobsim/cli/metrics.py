"""``jobsim worker --metrics``: where the metrics of each worker process are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from jobsim.core.errors import ConfigError

if TYPE_CHECKING:
    from jobsim.queue import Queue

LAST_PORT: Final = 65_535
_HINT: Final = "--metrics"


def check_ports(first: int, processes: int) -> None:
    """Refuse ports that there are not.

    Raises:
        typer.BadParameter: so many processes have no port each, from `first` on.
    """
    if first + processes - 1 > LAST_PORT:
        raise typer.BadParameter(
            f"{processes} processes take the ports from {first} to {first + processes - 1}, "
            f"and there are none above {LAST_PORT}",
            param_hint=_HINT,
        )


@contextmanager
def metrics_served(queue: "Queue", port: int | None) -> Iterator[str | None]:
    """Serve the metrics of this process on `port` meanwhile, and tell their address; `None` without a port.

    Raises:
        typer.BadParameter: the port is taken, or the library that is needed is not there.
    """
    if port is None:
        yield None
        return
    try:
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry()
        queue.export_metrics(registry)
        from jobsim.live.prometheus import LOOPBACK, serve

        end = serve(registry, port)
    except ImportError as error:
        raise typer.BadParameter(
            f"it needs prometheus-client ({error}); run: pip install prometheus-client", param_hint=_HINT
        ) from None
    except (ConfigError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise typer.BadParameter(f"port {port} cannot be used: {why}", param_hint=_HINT) from None
    try:
        yield f"http://{LOOPBACK}:{port}/metrics"
    finally:
        end()
