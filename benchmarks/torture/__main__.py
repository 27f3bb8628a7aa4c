"""Attack the stages and ``heatflow predict``, and count how they end: python -m benchmarks.torture [--only KIND ...].

Every case runs in a process and a folder of its own, and ends in one of

    correct     exit code 0, and the outputs are what an independent reading of the input says they should be
    refused     exit code 2 or 3 and a message
    traceback   an exception reached the user, or the process died of a signal
    hang        no end within two minutes
    silent      exit code 0, and the outputs are wrong
    stray       a message, and something half written is left

The last four are faults of the project. What comes of the kinds that were run takes its place in benchmarks/ABUSE.md.
--quick runs a thirtieth of the cases, and none of the kills and of the limits.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.torture.campaign import FAULTS, VERDICTS, Campaign, table
from benchmarks.torture.files import base_rasters, base_tables, base_vectors, strangers
from benchmarks.torture.kills import killed_predictions, killed_workers, kills
from benchmarks.torture.limits import full_disk, little_memory, short
from benchmarks.torture.params import params
from benchmarks.torture.predictions import bundles, predictions, regions, words
from heatflow.io.atomic import replacing

RESULTS = Path(__file__).parent.with_name("ABUSE.md")
QUICK = 1 / 30  # of the cases
# of each kind: what runs it, and how many cases
KINDS: dict[str, tuple[Callable[[Campaign, int], None], int]] = {
    "rasters": (partial(strangers, base_rasters), 700), "tables": (partial(strangers, base_tables), 700),
    "vectors": (partial(strangers, base_vectors), 450), "params": (params, 450),
    "bundles": (partial(predictions, bundles), 240), "regions": (partial(predictions, regions), 120),
    "words": (partial(predictions, words), 120), "kills": (kills, 50), "kills of predict": (killed_predictions, 20),
    "kills of workers": (killed_workers, 6), "full disk": (partial(short, "full disk", full_disk), 45),
    "little memory": (partial(short, "little memory", little_memory), 45),
}  # fmt: skip
LONG = ("kills", "kills of predict", "kills of workers", "full disk", "little memory")  # not part of --quick


def run(names: list[str], seed: int, share: float, on_kind: Callable[[Campaign], object]) -> Campaign:
    """Run a campaign of some kinds, or a share of the cases of each; `on_kind` is called after each kind."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as top:
        campaign = Campaign(seed, Path(top))
        for name in names:
            function, n = KINDS[name]
            begin = time.monotonic()
            function(campaign, max(2, round(n * share)))
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
            on_kind(campaign)
    return campaign


def kept(page: str) -> dict[str, list[int]]:
    """Counts by kind of a page that was written before.

    >>> kept("| rasters | 3 | 1 | 2 | 0 | 0 | 0 | 0 |")
    {'rasters': [1, 2, 0, 0, 0, 0]}
    """
    rows = re.findall(rf"^\| ([a-z ]+) \| \d+ ((?:\| \d+ ){{{len(VERDICTS)}}})\|$", page, re.M)
    return {name: [int(n) for n in re.findall(r"\d+", counts)] for name, counts in rows if name != "all"}


def keep(campaign: Campaign) -> None:
    """Put the counts of the kinds that were run in their place on the page."""
    before = kept(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    rows = before | campaign.rows()
    lines = ["# How attacks end", "", *(__doc__ or "").splitlines()[2:], ""]
    lines += table({kind: rows[kind] for kind in KINDS if kind in rows})
    with replacing(RESULTS) as beside:
        beside.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a thirtieth of the cases of what is short; nothing is kept"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=None)
    options = parser.parse_args()
    names = options.only or [name for name in KINDS if not (options.quick and name in LONG)]
    quick = options.quick
    campaign = run(names, options.seed, QUICK if quick else 1.0, on_kind=(lambda _: None) if quick else keep)
    print("\n".join(campaign.faults))
    print("\n".join(table(campaign.rows())))
    sys.exit(any(campaign.counts[k] for k in campaign.counts if k[1] in FAULTS))


if __name__ == "__main__":
    main()
