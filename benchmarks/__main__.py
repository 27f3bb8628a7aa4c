"""Run the benchmarks, print their tables and keep them: python -m benchmarks [--quick] [--only WORD ...].

Every section of RESULTS.md is replaced as soon as it is measured, and says at which commit it was: a section can be
measured alone, and a run that is stopped keeps what it has.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import geography, large_raster, side_by_side, training
from benchmarks.measure import ROOT, Rows, ceilings, machine, start_up
from heatflow.errors import InputError
from heatflow.io.atomic import replacing
from heatflow.io.text import markdown_table

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADING = "\n## "


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of each and a small raster; nothing is kept")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="sections whose titles hold one of these words")
    options = parser.parse_args()
    rounds, small = (1, (3800, 3500)) if options.quick else (7, ())
    sections: dict[str, Callable[[], Rows]] = {
        "Ceilings of the machine": lambda: ceilings(rounds),
        "Terrain and wells": lambda: geography.compare(rounds),
        "38,000 x 35,000 pixels (5.3 GB), 2,000 tiles": lambda: large_raster.compare(*small),
        "When nothing has to be done": lambda: start_up(rounds),
        "Training, augmentation included": lambda: training.compare(rounds),
        "Tasks side by side": lambda: side_by_side.compare(min(rounds, 3)),
        "Inference": lambda: training.compare_inference(rounds),
    }
    head = "\n".join([
        "# Results of `make bench`", "", f"Medians of {rounds} rounds in which all candidates run in turn.", "",
        *(f"- {what}: {value}" for what, value in machine().items()),
    ])  # fmt: skip
    print(head, flush=True)
    for title, measure in sections.items():
        if options.only and not any(word.lower() in title.lower() for word in options.only):
            continue
        lines = ["", f"At commit {commit()}.", "", *markdown_table(("what", "measured"), measure())]
        print(HEADING + "\n".join([title, *lines]), flush=True)
        if not options.quick:
            keep(head, [*sections], title, "\n".join(lines))


def commit() -> str:
    """Short name of the commit that is measured, with a plus where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    clean = not subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ":!*/RESULTS.md"], check=False).returncode
    return name.strip() + ("" if clean else "+")


def keep(head: str, titles: list[str], title: str, section: str) -> None:
    """Replace a section of the results; the others stay."""
    there = RESULTS.read_text(encoding="utf-8").split(HEADING)[1:] if RESULTS.exists() else []
    kept = dict(part.strip().split("\n", 1) for part in there) | {title: section}
    with replacing(RESULTS) as beside:
        parts = [head, *(f"{name}\n{kept[name].rstrip()}" for name in titles if name in kept)]
        beside.write_text(f"\n{HEADING}".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"bench: {error}")
