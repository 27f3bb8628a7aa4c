"""Where the files are that flow between stages."""

from pathlib import Path

from heatflow.config.derived import DEMO as DEMO

CODE = Path(__file__).resolve().parent.parent  # top folder of the project, whatever folder a stage runs in
DATA = Path("data")
METRICS = Path("metrics")
TABLES = DATA / "tables"

TERRAIN = DATA / "terrain.tif"
TREND = DATA / "trend.tif"
WELLS = DATA / "wells.fgb"
WELLS_DROPPED = DATA / "wells_dropped.csv"
BACKGROUND = DATA / "background.tif"
TILES = DATA / "tiles.npy"
TILE_TABLE = DATA / "tiles.fgb"
KEPT = DATA / "kept.fgb"
SITES = DATA / "sites.fgb"
TILES_DROPPED = DATA / "tiles_dropped.csv"
FOLDS = DATA / "folds.csv"
SCALING = DATA / "scaling.json"
BASELINES = DATA / "baselines.csv"
SITE_BASELINES = DATA / "baselines_sites.csv"
MODELS = DATA / "models"
CHECKPOINTS = DATA / ".checkpoints"  # no output: DVC removes outputs before a run, and training could not resume
PREDICTIONS = DATA / "predictions.fgb"
SITE_PREDICTIONS = DATA / "site_predictions.fgb"
PREDICTION_SETS = DATA / "prediction_sets.json"
SALIENCY = DATA / "saliency"
MAP = DATA / "map"
BUNDLE = DATA / "bundle"
REPORT = DATA / "report.html"

CURVES = METRICS / "curves.csv"
EVALUATION = METRICS / "evaluation.json"
SALIENCY_FIGURES = METRICS / "saliency"

FOLD_DATA = (TILES, TILE_TABLE, KEPT, FOLDS, SCALING)  # what FoldData.load reads
