"""Run every benchmark, print the table and keep it: python -m benchmarks [--quick]."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import geography, large_raster, side_by_side, training
from benchmarks.measure import Rows, ceilings, machine, start_up
from heatflow.errors import InputError
from heatflow.io.atomic import replacing
from heatflow.io.text import markdown_table

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each and a small raster; nothing is kept")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 7
    sections: dict[str, Callable[[], Rows]] = {
        "Ceilings of the machine": lambda: ceilings(rounds),
        "Terrain and wells": lambda: geography.compare(rounds),
        "38,000 x 35,000 pixels (5.3 GB), 2,000 tiles": lambda: large_raster.compare(*((3800, 3500) if quick else ())),
        "When nothing has to be done": lambda: start_up(rounds),
        "Training, augmentation included": lambda: training.compare(rounds),
        "Tasks side by side": lambda: side_by_side.compare(min(rounds, 3)),
        "Inference": lambda: training.compare_inference(rounds),
    }
    lines = ["# Results of `make bench`", "", f"Medians of {rounds} rounds in which all candidates run in turn.", ""]
    lines += [f"- {what}: {value}" for what, value in machine().items()]
    print("\n".join(lines), flush=True)
    for title, measure in sections.items():
        part = ["", f"## {title}", "", *markdown_table(("what", "measured"), measure())]
        print("\n".join(part), flush=True)
        lines += part
    if not quick:
        with replacing(RESULTS) as beside:
            beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"bench: {error}")
