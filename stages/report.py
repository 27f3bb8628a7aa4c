"""Put everything about a run on one page, and its maps into one QGIS project."""

from contextlib import ExitStack

from heatflow.geo.tiles import PackedTiles
from heatflow.io import atomic, rasters, text, vectors
from heatflow.present import report
from heatflow.present.qgis_project import make_project
from stages import _paths as at
from stages._runner import read_params, run, say

PARAMS = (
    "data.ablation", "data.elevation", "data.faults", "data.layers", "data.lookalikes", "data.structures", "data.wells",
    "augment", "demo", "filter", "map", "model", "normalize", "saliency", "split", "terrain", "tile", "train", "wells",
)  # fmt: skip
NUMBERS = {name: at.METRICS / f"{name}.json" for name in report.NUMBERS}
UNDRAWN = ("baselines", "strata", "statistics")  # tables without a plot
TABLES = {name: (at.TABLES if name in UNDRAWN else at.METRICS) / f"{name}.csv" for name in report.TABLES}
PICTURES = tuple(at.METRICS / name for name in ("folds.png", "curves.png", "map.png"))
RASTERS = {"terrain": at.TERRAIN} | {name: at.MAP / f"{name}.tif" for name in ("probability", "applicability")}
LAYERS = {"terrain": at.TERRAIN, "trend": at.TREND, "background": at.BACKGROUND, "probability": RASTERS["probability"]}
PROJECT = at.DATA / "heatflow.qgs"
FILES = (at.TERRAIN, at.WELLS, at.MODELS, at.PREDICTIONS, RASTERS["probability"], at.EVALUATION)
INPUTS = (
    at.TERRAIN, at.TREND, at.BACKGROUND, at.WELLS, at.SITES, at.TILES, at.TILE_TABLE, at.MODELS, at.PREDICTIONS,
    at.SALIENCY, at.MAP, *NUMBERS.values(), *TABLES.values(), *PICTURES, at.SALIENCY_FIGURES,
)  # fmt: skip


def main() -> None:
    p = read_params(PARAMS)
    maps = RASTERS | {"saliency": at.SALIENCY / f"{report.shown_method(p.saliency.methods)}.tif"}
    numbers = {name: text.read_json(path, report.NUMBERS[name]) for name, path in NUMBERS.items()}
    passed = {name: method["passed"] for name, method in numbers["saliency"]["methods"].items()}
    with ExitStack() as stack:
        layers = {name: stack.enter_context(rasters.open_written(path)) for name, path in LAYERS.items()}
        project = make_project(at.DATA, layers, passed, p)
        page = report.make_report(report.ReportInputs(
            numbers=numbers,
            tables={name: text.read_csv(path, report.TABLES[name]) for name, path in TABLES.items()},
            predictions=vectors.read_table(at.PREDICTIONS), wells=vectors.read_features(at.WELLS),
            top=vectors.read_features(at.MAP / "top.fgb"),
            tiles=PackedTiles.load(at.TILES, at.TILE_TABLE, p.tile.margin),
            rasters={name: stack.enter_context(rasters.open_written(path)) for name, path in maps.items()},
            pictures=(*PICTURES, *sorted(at.SALIENCY_FIGURES.glob("*.png"))), files=FILES,
            ablation=text.read_csv(p.data.ablation) if p.data.applies(p.data.ablation) else None,
        ), p)  # fmt: skip
    with atomic.replacing(at.REPORT) as beside:
        beside.write_text(page, encoding="utf-8")
    with atomic.replacing(PROJECT) as beside:
        beside.write_text(project, encoding="utf-8")
    say([f"{len(page) / 1e6:.1f} MB, one file that needs no network -> {at.REPORT}", f"in QGIS -> {PROJECT}"])


if __name__ == "__main__":
    run(main, INPUTS)
