"""``jobsim stats``: how many jobs are in which state, which breakers are open, and which queues paused."""

from typing import Annotated, Final

from jobsim.cli.database import open_database
from jobsim.cli.options import Database, Json, every, flag
from jobsim.cli.output import clear, write_json, write_table
from jobsim.core.time import SECOND, Duration
from jobsim.storage.base import Storage

_LOOK: Final = Duration(2 * SECOND)


def stats(
    *,
    url: Database,
    watch: Annotated[bool, flag("--watch", "-w", help="Show them again and again, until stopped.")] = False,
    interval: Annotated[Duration, every("--interval", help="How often --watch looks.")] = _LOOK,
    as_json: Json = False,
) -> None:
    """Show how many jobs are in each state, which breakers are not closed, and which queues are paused."""
    from jobsim.runtime.live import pause

    with open_database(url) as store:
        while True:
            if watch and not as_json:
                clear()
            _show(store, as_json=as_json)
            if not watch:
                return
            pause(interval)


def _show(store: Storage, *, as_json: bool) -> None:
    from jobsim.live.limits import broken
    from jobsim.live.stores import present

    counts = {state.value: number for state, number in store.counts().items()}
    breakers = {f"{s.by}:{s.name}": words for s, words in broken(store, present(store)).items()}
    total, paused = sum(counts.values()), sorted(store.paused())
    if as_json:
        write_json({"jobs": total, "states": counts, "breakers": breakers, "paused": paused})
        return
    write_table(("STATE", "JOBS"), [*counts.items(), ("total", total)])
    if breakers:
        write_table(("BREAKER", "STANDS"), list(breakers.items()))
    if paused:
        write_table(("PAUSED QUEUE",), [(queue,) for queue in paused])
