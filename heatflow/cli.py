"""The command `heatflow`: predict another region, fetch public data, compare experiments, sum up a run."""

import argparse
import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from heatflow.errors import InputError, fault_of_machine, printable

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
        Exit code. 0: done. 2: input that cannot be used. 3: the machine failed. 130: interrupted.
    """
    if arguments is None:  # when all is done and Python takes itself down, Ctrl-C would be a traceback
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    options = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        return options.run(options)
    except InputError as error:
        print(printable(f"heatflow {options.verb}: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"heatflow {options.verb}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if (fault := fault_of_machine(error)) is None:
            raise
        print(printable(f"heatflow {options.verb}: {fault}"), file=sys.stderr)
        return 3


def _joined(words: list[str]) -> list[str]:
    """The words of a command line, a negative longitude joined with its ``--at``: argparse takes it for an option.

    >>> _joined(["predict", "--at", "-117,39"])
    ['predict', '--at=-117,39']
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--at" and word.startswith("-"):
            joined[-1] = f"--at={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="heatflow", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_predict(verbs.add_parser("predict", help="predict another region from a model bundle and its elevation"))
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


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.add_argument("--model", type=Path, required=True, metavar="BUNDLE", help="such as data/bundle")
    predict.add_argument("--elevation", required=True, metavar="RASTER", help="any file or URL that GDAL can read")
    predict.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="to write, or to write again")
    layer = "a raster that the model sees beside elevation, by its name; may be given again"
    predict.add_argument("--layer", action="append", default=[], metavar="NAME=PATH", help=layer)
    predict.add_argument("--crs", help="of the map, in metres; by default the raster's own (terrain.crs)")
    predict.add_argument("--wells", metavar="TABLE", help="wells of the region to score the predictions on")
    at = "a place to print the prediction of, or a table of points; may be given again"
    near = "also predict sites with the residuals of those wells (map.near_wells)"
    predict.add_argument("--near-wells", action="store_true", help=near)
    predict.add_argument("--at", action="append", default=[], metavar="LON,LAT", help=at)
    setting = "any param of terrain, wells or map, as in params.yaml; may be given again"
    predict.add_argument(
        "-S", "--set", action="append", default=[], metavar="PARAM=VALUE", dest="settings", help=setting
    )
    everywhere = "use all networks everywhere, also where some were trained on this very terrain"
    predict.add_argument("--all-networks", action="store_true", help=everywhere)
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from heatflow.predict import Request, predict

    settings = [*options.settings, *([f"terrain.crs={json.dumps(options.crs)}"] if options.crs else [])]
    settings += ["map.near_wells=true"] if options.near_wells else []
    everything = options.model, options.elevation, options.out, options.wells
    predict(Request(*everything, tuple(options.at), tuple(settings), options.all_networks, tuple(options.layer)))
    return 0


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
