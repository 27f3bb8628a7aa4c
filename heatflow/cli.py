"""The command `heatflow`: fetch public data, compare experiments, sum up a run, write the page of params."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from heatflow.errors import InputError, printable

HEADLINE = r"accuracy|auc_high|site_auc|verdict\.answer"
WIDTH = 120  # columns of the table that `compare` prints, at least


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Words after ``heatflow``; those of the process if None.

    Returns
    -------
    int
        Exit code. 0: done. 2: input that cannot be used. 130: interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except InputError as error:
        print(printable(f"heatflow {options.verb}: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"heatflow {options.verb}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="heatflow", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    fetch = verbs.add_parser("fetch", help="fetch public data into data/sources/, or list what there is")
    fetch.add_argument("source", nargs="?", help="name in data/sources.yaml; without one all are listed")
    fetch.set_defaults(run=_fetch)
    compare = verbs.add_parser("compare", help="print the headline metrics of all experiments")
    compare.add_argument("--keep", default=r"train\.dropout", metavar="REGEX", help="params beside them: %(default)s")
    compare.set_defaults(run=_compare)
    summary = verbs.add_parser("summary", help="sum up the last run")
    summary.add_argument("folder", nargs="?", type=Path, default=Path("metrics"), help="default: %(default)s")
    summary.set_defaults(run=_summary)
    verbs.add_parser("docs", help="write docs/params.md from the typed params").set_defaults(run=_docs)
    return parser


def _fetch(options: argparse.Namespace) -> int:
    from heatflow.sources import CATALOGUE, fetch, listing, read_catalogue, usage

    catalogue, name = read_catalogue(), options.source
    if name is not None and name not in catalogue:
        raise InputError(f"{name}: no such source; {CATALOGUE} has {', '.join(catalogue)}")
    lines = listing(catalogue)
    if name is not None:
        lines = usage(catalogue[name], fetch(name, catalogue[name], progress=sys.stderr.isatty()))
    print(printable("\n".join(lines)))
    return 0


def _compare(options: argparse.Namespace) -> int:
    columns = max(WIDTH, shutil.get_terminal_size().columns)  # a narrower table leaves columns out
    keep = f"Experiment|(^|:)({HEADLINE})$|{options.keep}"
    command = [sys.executable, "-m", "dvc", "exp", "show", "--no-pager", "--drop", ".*", "--keep", keep]
    return subprocess.run(command, env=os.environ | {"COLUMNS": str(columns)}, check=False).returncode


def _summary(options: argparse.Namespace) -> int:
    from heatflow.present.summary import summary

    try:
        print(summary(options.folder))
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: no such file; make it with: dvc repro") from None
    return 0


def _docs(options: argparse.Namespace) -> int:
    import yaml

    from heatflow.config.reference import page
    from heatflow.io.atomic import replacing

    params, docs = Path("params.yaml"), Path("docs/params.md")
    if not params.is_file():
        raise InputError(f"{params}: no such file; run from the top folder of the project")
    with replacing(docs) as beside:
        beside.write_text(page(yaml.safe_load(params.read_text(encoding="utf-8"))), encoding="utf-8")
    print(docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
