"""Lines about the prediction map."""

from pathlib import Path

from heatflow.prediction.prediction_map import PredictionMap


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
