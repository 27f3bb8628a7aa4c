"""The map of a region: where heat is likely, and how far to trust it."""

import geopandas
import numpy as np
from matplotlib.figure import Figure

from heatflow.grid.grids import Grid
from heatflow.present.figures import hillshade, north_arrow


def map_figure(
    elevation: np.ndarray,
    above: np.ndarray,
    disagreement: np.ndarray,
    inside: np.ndarray,
    top: geopandas.GeoDataFrame,
    grid: Grid,
    bounds: tuple[float, float, float, float],
    high: str,
) -> Figure:
    """Probability of being high over hillshade, and disagreement between the networks.

    Parameters
    ----------
    elevation : float array, metres, NaN for no data; all of the terrain, at any resolution
    above, disagreement : float arrays on `grid`, NaN where nothing is predicted
    inside : the same, 1 inside the area of applicability, 0 outside
    top : the best places, polygons with ``rank``
    bounds : (left, bottom, right, top) of the terrain, metres
    high : what is mapped, such as "above 50 mW/m2"
    """
    west, south, east, north = bounds
    figure = Figure(figsize=(13, 1.75 + 5.6 * (north - south) / (east - west)), layout="constrained")
    shade = hillshade(elevation, (east - west) / elevation.shape[1])
    left, bottom, right, up = grid.bounds
    place = [(left - west) / 1000, (right - west) / 1000, (bottom - south) / 1000, (up - south) / 1000]
    whole = [0, (east - west) / 1000, 0, (north - south) / 1000]
    found = np.nanquantile(disagreement, 0.99) if np.isfinite(disagreement).any() else 1.0
    panels = (
        (above, "viridis", 1.0, f"probability of {high.replace('m2', 'm²')}"),
        (disagreement, "cividis", found, "disagreement: standard deviation between networks"),
    )
    for number, (axes, (layer, colours, most, label)) in enumerate(
        zip(figure.subplots(1, 2, sharey=True), panels, strict=True)
    ):
        axes.set_facecolor("0.93")
        axes.imshow(shade, cmap="gray", vmin=0, vmax=1, extent=whole)
        image = axes.imshow(layer, cmap=colours, vmin=0, vmax=most, alpha=0.72, extent=place, interpolation="nearest")
        outside = np.where(inside == 0, 1.0, np.nan)
        if np.isfinite(outside).any():
            x = np.linspace(place[0], place[1], inside.shape[1])
            y = np.linspace(place[3], place[2], inside.shape[0])
            axes.contourf(x, y, np.nan_to_num(outside), levels=[0.5, 1.5], colors="none", hatches=["////"])
        if number == 0:
            for box, rank in zip(top.geometry, top["rank"], strict=True):
                x, y = (box.centroid.x - west) / 1000, (box.centroid.y - south) / 1000
                axes.text(
                    x, y, str(rank), ha="center", va="center", fontsize=7,
                    bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": "black", "lw": 0.7},
                )  # fmt: skip
        axes.set_xlim(whole[:2])
        axes.set_ylim(whole[2:])
        axes.set_aspect("equal")
        axes.set_xlabel("km east of the corner")
        figure.colorbar(image, ax=axes, label=label, orientation="horizontal", shrink=0.7, pad=0.02)
        north_arrow(axes)
    figure.axes[0].set_ylabel("km north of the corner")
    figure.axes[0].set_title("numbers: the best places, by rank", fontsize=10)
    figure.axes[1].set_title("hatched: terrain unlike any that was learnt from; bare: one network alone", fontsize=10)
    return figure
