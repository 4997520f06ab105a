"""What a live queue costs, against other queues at the same durability and with the same slots.

Each queue runs in processes of its own, in turn with the others, on new files and databases: one enqueues,
one works. What counts are the ratios within one run of this script: machines are shared and drift.

    python benchmarks/live.py [--jobs 20000] [--repeats 1] [--only TEXT] [--directory DIR] [--json]

Other queues are measured where they are installed: pip install -r benchmarks/requirements.txt
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from peers import BASES, ENTRIES, Entry
from peers.places import Child, Places, ask, commit_costs_ms, places

SLOTS: Final = (4, 100)
FILLED_BY: Final = 1_000
BATCHES: Final = (1, 100, 1_000)
PICK_UP_SLOTS: Final = 4

Key = tuple[str, str]


@dataclass
class Figures:
    """What was found: of each measure and queue one number a repeat."""

    found: defaultdict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    settings: dict[str, str] = field(default_factory=dict)

    def add(self, measure: str, entry: Entry, number: float) -> None:
        """Note a number."""
        self.found[measure, entry.name].append(number)

    def ratio(self, measure: str, entry: Entry) -> float | None:
        """Return how many times as much jobsim on the same store does: the median over the repeats."""
        own, base = self.found[measure, entry.name], self.found[measure, BASES[entry.store]]
        return statistics.median(b / o for b, o in zip(base, own, strict=True)) if own and base else None


def drains(figures: Figures, there: Places, entries: Sequence[Entry], jobs: int) -> None:
    """Time how each queue works off the same jobs."""
    for slots in SLOTS:
        for entry in entries:
            where = there.new(entry.store)
            figures.settings[entry.name] = ask(entry, where, "prepare")["settings"]
            ask(entry, where, "enqueue", jobs, FILLED_BY)
            told = ask(entry, where, "drain", slots, jobs)
            figures.add(f"drain, {slots} slots, jobs/s", entry, told["jobs"] / told["seconds"])


def enqueues(figures: Figures, there: Places, entries: Sequence[Entry], jobs: int) -> None:
    """Time how each queue takes jobs, one by one and in batches."""
    for batch in BATCHES:
        for entry in entries:
            where = there.new(entry.store)
            able = ask(entry, where, "prepare")["batches"]
            if able or batch == 1:
                told = ask(entry, where, "enqueue", max(jobs // 10, 2) if batch == 1 else jobs, batch)
                if told["jobs"]:
                    figures.add(f"enqueue by {batch}, jobs/s", entry, told["jobs"] / told["seconds"])


def pick_ups(
    figures: Figures, there: Places, entries: Sequence[Entry], picks: int, every_s: float, idle_s: float
) -> None:
    """Time how long jobs of another process wait for an idle worker, and what it costs to be idle."""
    for entry in entries:
        where = there.new(entry.store)
        ask(entry, where, "prepare")
        worker = Child(entry, where, "serve", PICK_UP_SLOTS, picks, idle_s)
        figures.add("idle, % of a core", entry, worker.answer()["idle_cpu_percent"])
        ask(entry, where, "produce", picks, every_s)
        waited = sorted(worker.answer()["waited_ms"])
        worker.end()
        figures.add("pick-up p50, ms", entry, waited[len(waited) // 2])
        figures.add("pick-up p99, ms", entry, waited[min(len(waited) - 1, len(waited) * 99 // 100)])


def present(there: Places, only: str) -> list[Entry]:
    """Return the queues to measure; of those left out it is said why."""
    stores = {"sqlite"} if there.server is None else {"sqlite", "postgres"}
    chosen = []
    for entry in ENTRIES:
        if entry.store in stores and (only in entry.name or entry.name in BASES.values()):
            if missing := entry.missing():
                print(f"{entry.name} is left out: {', '.join(missing)} not installed", file=sys.stderr)
            else:
                chosen.append(entry)
    return chosen


def rows(figures: Figures, entries: Sequence[Entry]) -> Iterator[tuple[str, Entry, float, float | None]]:
    """Yield measure, queue, median, and what jobsim has as a ratio to it."""
    for measure in dict.fromkeys(measure for measure, _ in figures.found):
        for entry in entries:
            if numbers := figures.found[measure, entry.name]:
                yield measure, entry, statistics.median(numbers), figures.ratio(measure, entry)


def show(figures: Figures, entries: Sequence[Entry], costs: dict[str, float]) -> None:
    """Print tables for people."""
    for store, cost in costs.items():
        print(f"a durable commit of one row, {store}: {cost:.2f} ms")
    for entry in entries:
        print(f"{entry.name}: {figures.settings.get(entry.name, '')}")
    last = ""
    for measure, entry, number, ratio in rows(figures, entries):
        if measure != last:
            print(f"\n{measure:38}{'median':>12}{'jobsim / it':>14}")
            last = measure
        print(f"{entry.name:38}{number:12,.{0 if number >= 100 else 2}f}{ratio or float('nan'):14.2f}")


def main() -> None:
    """Measure all that is installed, `--repeats` times, and print medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--picks", type=int, default=200, help="jobs picked up one by one")
    parser.add_argument("--every", type=float, default=0.05, metavar="S", help="seconds between these")
    parser.add_argument(
        "--idle", type=float, default=10.0, metavar="S", help="seconds an idle worker is watched"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="beside jobsim, queues with this in the name"
    )
    parser.add_argument("--directory", help="where the SQLite files are to be; they are removed")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    figures = Figures()
    with places(options.directory) as there:
        entries = present(there, options.only)
        usual = [entry for entry in entries if not entry.only_drains]
        costs = commit_costs_ms(there)
        for _ in range(options.repeats):
            drains(figures, there, entries, options.jobs)
            enqueues(figures, there, usual, options.jobs)
            pick_ups(figures, there, usual, options.picks, options.every, options.idle)
    if not options.json:
        show(figures, entries, costs)
        return
    for store, cost in costs.items():
        print(json.dumps({"measure": "durable commit, ms", "store": store, "median": cost}))
    for measure, entry, number, ratio in rows(figures, entries):
        row = {"measure": measure, "store": entry.store, "queue": entry.name, "median": number}
        print(json.dumps(row | {"jobsim_ratio": ratio, "settings": figures.settings[entry.name]}))


if __name__ == "__main__":
    main()
