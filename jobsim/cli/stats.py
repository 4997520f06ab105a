"""``jobsim stats``: how many jobs are in which state."""

from jobsim.cli.database import open_database
from jobsim.cli.options import Database, Json
from jobsim.cli.output import write_json, write_table


def stats(*, url: Database, as_json: Json = False) -> None:
    """Show how many jobs are in each state."""
    with open_database(url) as store:
        counts = {state.value: number for state, number in store.counts().items()}
    total = sum(counts.values())
    if as_json:
        write_json({"jobs": total, "states": counts})
    else:
        write_table(("STATE", "JOBS"), [*counts.items(), ("total", total)])
