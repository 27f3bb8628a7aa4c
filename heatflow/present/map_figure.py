"""Figure of the prediction map: where heat is probable, and where networks disagree or do not apply."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heatflow.prediction.prediction_map import PredictionMap
from heatflow.present.figures import hillshade, north_arrow


def map_figure(elevation: np.ndarray, prediction: PredictionMap) -> Figure:
    """Probability of being high over hillshade, and disagreement between the networks.

    Parameters
    ----------
    elevation : float array, shape (rows, columns)
        All of the terrain in metres, at any resolution; NaN for no data.
    prediction : PredictionMap
    """
    layers, places = prediction.layers, prediction.places
    west, south, east, north = prediction.window_grid.grid.bounds
    width, height = (east - west) / 1000, (north - south) / 1000
    figure = Figure(figsize=(13, 1.75 + 5.6 * height / width), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    most = np.nanquantile(layers.disagreement, 0.99) if np.isfinite(layers.disagreement).any() else 1.0
    high = f"probability of above {prediction.ensemble.tile.binary_edge:g} mW/m²"
    panels = (
        (left, layers.above, "viridis", 1.0, high),
        (right, layers.disagreement, "cividis", most, "disagreement: standard deviation between networks"),
    )
    shade = hillshade(elevation, (east - west) / elevation.shape[1])
    for axes, layer, colours, most, label in panels:
        axes.set_facecolor("0.93")
        axes.imshow(shade, cmap="gray", vmin=0, vmax=1, extent=(0, width, 0, height))
        _draw_layer(axes, layer, prediction, colours, most, label)
        axes.set(xlim=(0, width), ylim=(0, height), aspect="equal", xlabel="km east of the corner")
    north_arrow(right)  # the left one has numbers
    for outline, rank in zip(places.geometry, places["rank"], strict=True):
        x, y = (outline.centroid.x - west) / 1000, (outline.centroid.y - south) / 1000
        box = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black", "lw": 0.7}
        left.text(x, y, str(rank), ha="center", va="center", fontsize=7, bbox=box)
    left.set_ylabel("km north of the corner")
    left.set_title("numbers: the best places, by rank", fontsize=10)
    right.set_title("hatched: outside the area of applicability; bare: one network alone", fontsize=10)
    return figure


def _draw_layer(axes: Axes, layer: np.ndarray, prediction: PredictionMap, colours: str, most: float,
                label: str) -> None:  # fmt: skip
    """Draw a layer with its colour bar, hatched outside the area of applicability."""
    west, south, *_ = prediction.window_grid.grid.bounds
    left, bottom, right, top = prediction.window_grid.map_grid.bounds
    place = ((left - west) / 1000, (right - west) / 1000, (bottom - south) / 1000, (top - south) / 1000)
    image = axes.imshow(layer, cmap=colours, vmin=0, vmax=most, alpha=0.72, extent=place, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label=label, orientation="horizontal", shrink=0.7, pad=0.02)
    outside = prediction.layers.inside == 0
    if outside.any():
        x, y = np.linspace(*place[:2], outside.shape[1]), np.linspace(place[3], place[2], outside.shape[0])
        axes.contourf(x, y, outside.astype(float), levels=[0.5, 1.5], colors="none", hatches=["////"])
