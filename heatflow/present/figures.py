"""Figures. Colour-blind-safe, perceptually even colours; every map with a scale bar, every axis with a unit."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from heatflow.grid.grids import TileGrid
from heatflow.io.atomic import replacing

FOLD_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442")  # Okabe and Ito (2008)
ROLE_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00", "buffer": "#F0E442"}
DPI = 100


def hillshade(elevation: np.ndarray, resolution: float, azimuth: float = 315, altitude: float = 40) -> np.ndarray:
    """Illumination from 0 to 1 of a surface lit from `azimuth` (degrees from north) and `altitude` (Horn, 1981).

    Parameters
    ----------
    elevation : float array, shape (rows, columns), metres, north up; NaN stays NaN
    resolution : metres per pixel

    Slopes are drawn three times too steep, as the relief of a 40 km tile would otherwise be faint.
    """
    north, east = np.gradient(3 * elevation, resolution)
    north = -north  # rows count southwards
    azimuth, altitude = np.deg2rad(azimuth), np.deg2rad(altitude)
    light = np.sin(altitude) - np.cos(altitude) * (north * np.cos(azimuth) + east * np.sin(azimuth))
    return np.clip(light / np.sqrt(1 + north**2 + east**2), 0, 1)


def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG whose bytes depend on the picture alone."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    # 256 colours: a hillshade in true colour takes megabytes, and git keeps every version of a picture
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    with replacing(path) as beside:
        picture.save(beside, optimize=True)


def _nice_length(extent):
    """A round length in km of about a third of an extent in km."""
    return max((m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5) if m * 10.0**e <= extent / 2.5), default=extent)


def scale_bar(axes, resolution: float, size: int) -> None:
    """A labelled bar of round length in the lower left of an image of `size` pixels."""
    km = _nice_length(size * resolution / 1000)
    pixels = km * 1000 / resolution
    x, y = 0.05 * size, 0.94 * size
    axes.plot([x, x + pixels], [y, y], color="black", lw=4, solid_capstyle="butt")
    axes.plot([x, x + pixels], [y, y], color="white", lw=2, solid_capstyle="butt")
    axes.text(
        x + pixels / 2, y - 0.035 * size, f"{km:g} km", ha="center", va="bottom", fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def north_arrow(axes) -> None:
    """An arrow and an N in the upper right, legible on light and dark ground."""
    halo = [Stroke(linewidth=3, foreground="white"), Normal()]
    arrow = {"arrowstyle": "-|>", "lw": 1.5, "color": "black", "path_effects": halo}
    axes.annotate(
        "N", (0.93, 0.97), (0.93, 0.83), xycoords="axes fraction", ha="center", va="center", fontsize=9,
        arrowprops=arrow, annotation_clip=False, path_effects=halo,
    )  # fmt: skip


def confusion_figure(matrix: np.ndarray, names: list[str], title: str) -> Figure:
    """Confusion matrix with its counts and, beneath each, the share of the true class."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    k = len(names)
    figure = Figure(figsize=(1.6 + 0.95 * k, 1.5 + 0.8 * k), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for i in range(k):
        for j in range(k):
            colour = "white" if shares[i, j] < 0.5 else "black"
            axes.text(j, i, f"{matrix[i, j]}\n{shares[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(k), names)
    axes.set_yticks(range(k), names)
    axes.set_xlabel("predicted class, mW/m²")
    axes.set_ylabel("true class, mW/m²")
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    return figure


def curves_figure(history: pd.DataFrame, classes: int) -> Figure:
    """Learning curves: loss and accuracy while training and on the validation part, each fold thin, their mean thick.

    Parameters
    ----------
    history : ``fold``, ``epoch``, ``train_loss``, ``validation_loss``, ``train_accuracy``, ``validation_accuracy``
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nats", "share of tiles"), strict=True):
        for kind, colour, label in (("train", "#0072B2", "training"), ("validation", "#D55E00", "validation")):
            curves = history.pivot(index="epoch", columns="fold", values=f"{kind}_{name}")
            axes.plot(curves.index, curves, color=colour, lw=0.6, alpha=0.6)
            axes.plot(curves.index, curves.mean(axis=1), color=colour, lw=2.2, label=f"{label}, mean of folds")
        if name == "loss":
            axes.set_ylim(top=min(axes.get_ylim()[1], 2 * np.log(classes)))  # spikes of a fold would hide the rest
            axes.axhline(np.log(classes), color="black", ls=":", lw=1, label=f"ln({classes}), a uniform guess")
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{name}, {unit}")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure


def folds_figure(
    elevation: np.ndarray, tiles: TileGrid, row: np.ndarray, col: np.ndarray, fold: np.ndarray, roles: np.ndarray
) -> Figure:
    """Tiles on hillshade: on the left the fold that tests each, on the right the role of each in the first fold.

    Parameters
    ----------
    elevation : float array, metres, NaN for no data; the region of `tiles` at any resolution
    row, col : int arrays, shape (n,), of the tiles
    fold : int array, shape (n,)
    roles : str array, shape (n,)
    """
    left, bottom, right, top = (edge / 1000 for edge in tiles.grid.bounds)
    left, right, bottom, top = 0, right - left, 0, top - bottom
    shade = hillshade(elevation, (right - left) * 1000 / elevation.shape[1])
    edge, step = (n * tiles.grid.resolution / 1000 for n in (tiles.size, tiles.stride))
    figure = Figure(figsize=(11, 1.25 + 5 * top / right), layout="constrained")
    names = [f"fold {k}" for k in range(fold.max() + 1)]
    shown = [r for r in ROLE_COLOURS if (roles == r).any()]
    panels = (
        ("fold that tests each tile", np.array(names)[fold], dict(zip(names, _fold_colours(len(names)), strict=True))),
        ("what each tile does in fold 0", roles, {r: ROLE_COLOURS[r] for r in shown}),
    )
    for axes, (title, group, colours) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        axes.set_facecolor("0.93")
        axes.imshow(shade, cmap="gray", vmin=0, vmax=1, extent=(left, right, bottom, top))
        for name, colour in colours.items():
            here = np.flatnonzero(group == name)
            boxes = [Rectangle((col[i] * step, top - row[i] * step - edge), edge, edge) for i in here]
            axes.add_collection(
                PatchCollection(boxes, facecolor=to_rgba(colour, 0.55), edgecolor="white", lw=0.7), autolim=False
            )
            axes.plot([], [], "s", color=colour, ms=9, label=f"{name} ({len(here)})")
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("km east of the corner")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, fontsize=9, frameon=False)
        axes.set_aspect("equal")
    figure.axes[0].set_ylabel("km north of the corner")
    return figure


def _fold_colours(n):
    """Okabe and Ito's colours, then others that can still be told apart."""
    return [FOLD_COLOURS[k] if n <= len(FOLD_COLOURS) else colormaps["viridis"](k / (n - 1)) for k in range(n)]
