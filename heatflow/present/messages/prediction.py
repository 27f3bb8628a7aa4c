"""Lines about the prediction map."""

from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from heatflow.config.schema import Tile
from heatflow.evaluation.prediction_sets import PredictionSets
from heatflow.geo.wells import UsableWells
from heatflow.prediction.bundle import BundleSettings
from heatflow.prediction.prediction_map import PredictionMap
from heatflow.prediction.well_scores import WellScores
from heatflow.present.wording import breakable, chance, exists, percent, within

MOSTLY = 0.5  # share of a map in the area of applicability, below which a person is warned


def map_lines(prediction: PredictionMap, raster: Path, places: Path) -> list[str]:
    """Windows that are predicted, and the best place.

    Parameters
    ----------
    prediction : PredictionMap
    raster, places : Path
        Files that hold the probabilities and the best places.
    """
    counts = prediction.counts
    left_out = (
        f"{counts['low_data']} with too little data, {counts['learnt_from']} in the training area of every network"
    )
    lines = [f"{len(prediction.windows)} of {counts['windows']} windows predicted ({left_out}) -> {raster}"]
    if prediction.places.empty:
        return lines
    best = prediction.places.iloc[0]
    networks = "1 network" if best["networks"] == 1 else f"{int(best['networks'])} networks"
    place = f"latitude {best['lat']:.2f}, longitude {best['lon']:.2f}, p = {min(best['p_high'], 0.99):.2f}"
    return [*lines, f"the best of {len(prediction.places)} places: {place} by {networks} -> {places}"]


def bundle_lines(settings: BundleSettings, seeds: int, path: Path) -> list[str]:
    """What a model bundle holds, and how it is used."""
    networks = f"{settings.folds} folds of {seeds} networks for pixels of {settings.terrain.resolution:g} m -> {path}"
    return [networks, f"another region: heatflow predict --model {path} --elevation RASTER --out FOLDER"]


def coarseness_warnings(coarseness: float, trained: float, same: float) -> Iterator[str]:
    """What it means that a raster is coarser or finer than that of training.

    Parameters
    ----------
    coarseness : float
        Pixels of the raster over those of training.
    trained : float
        Pixels of training, metres.
    same : float
        As much as that counts as the same.
    """
    if coarseness > same:
        yield (
            f"the raster is {coarseness:.2f} times as coarse as that of training ({trained:.0f} m): what was told from "
            "its finest forms is missing, and probabilities are nearer to the mean than they should be"
        )
    if coarseness < 1 / same:
        yield (
            f"the raster shows finer forms than that of training ({trained:.0f} m), which the networks have never "
            f"seen: compare with the same raster averaged to that pixel (gdalwarp -tr {trained:.0f} {trained:.0f} "
            "-r average, for a raster in metres)"
        )


def applicability_warnings(prediction: PredictionMap) -> Iterator[str]:
    """What it means where much of a map lies outside the area of applicability."""
    inside = prediction.summary()["inside_applicability"]
    if inside < MOSTLY:
        none = "; there is no best place" if prediction.places.empty else ""
        yield (
            f"only {inside:.1%} of the map lie in the area of applicability: elsewhere the terrain is unlike that of "
            f"training, and probabilities are not to be used{none}"
        )


def usable_lines(wells: UsableWells) -> Iterator[str]:
    """How many wells of another region can be used."""
    left_out = "".join(f", {count} {reason}" for reason, count in wells.counts.items())
    yield f"{len(wells.kept)} of {wells.n_read} wells can be used{left_out}"


def region_lines(prediction: PredictionMap, places: pd.DataFrame, scores: WellScores | None, sets: PredictionSets,
                 out: Path) -> Iterator[str]:  # fmt: skip
    """What is predicted of another region: the map, places that were asked for, and how well its wells fit.

    Parameters
    ----------
    prediction : PredictionMap
    places : DataFrame
        As `heatflow.predict.predict_places` gives it.
    scores : WellScores or None
    sets : PredictionSets
    out : Path
    """
    tile = prediction.ensemble.tile
    yield from map_lines(prediction, out / "probability.tif", out / "top.fgb")
    yield f"{prediction.summary()['inside_applicability']:.1%} of the map lie in the area of applicability"
    for place in places.to_dict("records"):
        yield _place_line(place, tile, sets.level)
    if scores is not None:
        yield from _score_lines(scores.metrics, tile, sets.level)


def _place_line(place: dict[Hashable, Any], tile: Tile, level: float) -> str:
    where = f"{place['name']} ({place['lon']:.4f}, {place['lat']:.4f}): "
    if place["reason"]:
        return f"{where}not predicted, {place['reason']}"
    edges = ", ".join(f"{edge:g}: {chance(place[f'above_{edge:g}'])}" for edge in tile.edges)
    span = f"{chance(place['lowest'])} to {chance(place['highest'])} by {int(place['networks'])} networks"
    area = "inside" if place["applicable"] else "OUTSIDE"
    unlike = f"{area} the area of applicability (dissimilarity {place['dissimilarity']:.2f})"
    near = f"with the wells near it {chance(place['near_wells'])}; " if "near_wells" in place else ""
    return (
        f"{where}probability of a site above {edges} mW/m2; above {tile.binary_edge:g}: {span}; {near}{level:.0%} set: "
        f"{set_range(place['set_low'], place['set_high'])}; {unlike}"
    )


def set_range(low: float, high: float) -> str:
    """The residuals of a prediction set, by its ends in mW/m2, NaN where it has none.

    >>> set_range(25, float("nan")), set_range(float("nan"), float("nan"))
    ('a residual above 25 mW/m2', 'any residual')
    """
    if not exists(low) and not exists(high):
        return "any residual"
    if not exists(high):
        return f"a residual above {low:g} mW/m2"
    return f"a residual of {high:g} mW/m2 or less" if not exists(low) else f"a residual of {low:g} to {high:g} mW/m2"


def _score_lines(metrics: dict[str, Any], tile: Tile, level: float) -> Iterator[str]:
    if metrics["site_auc"] is None:
        yield "no site can be scored: every network was trained on its tile or terrain around it"
        return
    for name, what in (("site_auc", f"{metrics['sites']} sites"), ("auc_high", f"{metrics['tiles']} tiles")):
        ranked = f"AUC of {what} above {tile.binary_edge:g} mW/m2: "
        yield ranked + (
            breakable(within(metrics, name)) if exists(metrics[name]) else "none, all are on one side of it"
        )
    if "near_wells_gain" in metrics and exists(metrics["near_wells_auc"]):
        near, alone = (breakable(within(metrics, name)) for name in ("near_wells_auc", "wells_alone_auc"))
        yield f"with all other sites known: AUC of sites {near}, by these sites alone {alone}"
    held = breakable(within(metrics, "set_coverage", percent))
    yield f"prediction sets of {level:.0%} hold {held} of the sites, by {metrics['set_size']:.2f} classes on average"
    if learnt := metrics["sites_in_training_area"]:
        yield f"{learnt} sites lie where some networks were trained; only the other networks predict and score them"
    else:
        yield "no site took part in training"
    if left := metrics["sites_not_scored"]:
        yield f"{left} sites are not scored: too little terrain, or every network was trained there"
