"""What the campaigns of `make soak` come to: figures for the table of ``docs/reliability.md``."""

import json
from pathlib import Path

_FILE = Path(__file__).parents[1] / "reports" / "reliability.jsonl"


def record(campaign: str, **figures: float) -> None:
    """Append the figures of a campaign, or of a share of one: counts of several shares are to be added up."""
    _FILE.parent.mkdir(exist_ok=True)
    lines = [
        json.dumps({"campaign": campaign, "figure": figure, "value": value})
        for figure, value in figures.items()
    ]
    with _FILE.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))  # at once: several processes append
