"""Figures with colours that are safe for colour-blind readers and perceptually even, and a unit on every axis."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import collections, colormaps, colors, patches, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from heatflow.grid.grids import TileGrid
from heatflow.io.atomic import replacing

FOLD_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#F0E442")  # Okabe and Ito (2008)
ROLE_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00", "buffer": "#F0E442"}
DPI = 100


def hillshade(elevation: np.ndarray, resolution: float, azimuth: float = 315, altitude: float = 40) -> np.ndarray:
    """Illumination of a surface (Horn, 1981).

    Slopes are taken three times as steep, as the relief of a tile of 40 km would be faint otherwise.
    `matplotlib.colors.LightSource` is not used: it stretches each picture by its own extremes, and not at all where
    there is a NaN, so that pictures of tiles could not be compared.

    Parameters
    ----------
    elevation : ndarray of float, shape (rows, columns), metres
        North up; NaN for no data.
    resolution : float
        Metres per pixel.
    azimuth, altitude : float
        Direction of the light in degrees, clockwise from north and above the horizon.

    Returns
    -------
    ndarray of float, shape (rows, columns)
        From 0 to 1; NaN where a pixel or one of its neighbours has no data.

    Examples
    --------
    >>> hillshade(np.zeros((2, 2)), resolution=200, altitude=30).round(3)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    south, east = np.gradient(3 * elevation, resolution)
    azimuth, altitude = np.deg2rad(azimuth), np.deg2rad(altitude)
    light = np.sin(altitude) + np.cos(altitude) * (south * np.cos(azimuth) - east * np.sin(azimuth))
    return np.where(np.isnan(elevation), np.nan, np.clip(light / np.sqrt(1 + south**2 + east**2), 0, 1))


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


def _round_length(extent: float) -> float:
    """A round length in km of about a third of an extent in km."""
    return max((m * 10.0**e for e in range(-3, 5) for m in (1, 2, 5) if m * 10.0**e <= extent / 2.5), default=extent)


def scale_bar(axes: Axes, resolution: float, size: int) -> None:
    """A labelled bar of round length in the lower left of an image of `size` pixels."""
    km = _round_length(size * resolution / 1000)
    pixels = km * 1000 / resolution
    x, y = 0.05 * size, 0.94 * size
    axes.plot([x, x + pixels], [y, y], color="black", lw=4, solid_capstyle="butt")
    axes.plot([x, x + pixels], [y, y], color="white", lw=2, solid_capstyle="butt")
    axes.text(
        x + pixels / 2, y - 0.035 * size, f"{km:g} km", ha="center", va="bottom", fontsize=8,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def north_arrow(axes: Axes) -> None:
    """An arrow and an N in the upper right, legible on light and dark ground."""
    halo = [patheffects.Stroke(linewidth=3, foreground="white"), patheffects.Normal()]
    arrow = {"arrowstyle": "-|>", "lw": 1.5, "color": "black", "path_effects": halo}
    axes.annotate(
        "N", (0.93, 0.97), (0.93, 0.83), xycoords="axes fraction", ha="center", va="center", fontsize=9,
        arrowprops=arrow, annotation_clip=False, path_effects=halo,
    )  # fmt: skip


def confusion_figure(matrix: np.ndarray, names: list[str], title: str) -> Figure:
    """Confusion matrix: the number of tiles and, beneath it, the share of the true class.

    Parameters
    ----------
    matrix : ndarray of int, shape (k, k)
        A row for each true class, a column for each predicted class.
    names : list of str
        Ranges of the classes, mW/m2.
    title : str
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    k = len(names)
    figure = Figure(figsize=(1.6 + 0.95 * k, 1.5 + 0.8 * k), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (i, j), share in np.ndenumerate(shares):
        colour, text = "white" if share < 0.5 else "black", f"{matrix[i, j]}\n{share:.0%}"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set(xlabel="predicted class, mW/m²", ylabel="true class, mW/m²")
    axes.set(xticks=range(k), xticklabels=names, yticks=range(k), yticklabels=names)
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    return figure


def curves_figure(history: pd.DataFrame, classes: int) -> Figure:
    """Learning curves: loss and accuracy, single networks thin, their mean thick; of validation tiles where any are.

    Parameters
    ----------
    history : DataFrame
        ``fold``, ``epoch``, ``train_loss``, ``validation_loss``, ``train_accuracy``, ``validation_accuracy``
    classes : int
        Number of classes.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nats", "share of tiles"), strict=True):
        for kind, colour, label in (("train", "#0072B2", "training"), ("validation", "#D55E00", "validation")):
            curves = history.pivot(index="epoch", columns="fold", values=f"{kind}_{name}")
            if curves.isna().all(axis=None):
                continue
            axes.plot(curves.index, curves, color=colour, lw=0.6, alpha=0.6)
            axes.plot(curves.index, curves.mean(axis=1), color=colour, lw=2.2, label=f"{label}, mean of networks")
        axes.plot([], [], color="0.5", lw=0.8, label="single networks")
        if name == "loss":
            axes.axhline(np.log(classes), color="black", ls=":", lw=1, label=f"ln({classes}), a uniform guess")
            axes.set_ylim(top=min(axes.get_ylim()[1], 2 * np.log(classes)))  # spikes of a fold would hide the rest
            figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
        axes.set(xlabel="epoch", ylabel=f"{name}, {unit}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure


def folds_figure(elevation: np.ndarray, tiles: TileGrid, row: np.ndarray, col: np.ndarray, fold: np.ndarray,
                 roles: np.ndarray) -> Figure:  # fmt: skip
    """Tiles on hillshade: on the left the test fold of each, on the right the role of each in the first fold.

    Parameters
    ----------
    elevation : ndarray of float, metres
        The region of `tiles` at any resolution, NaN for no data.
    tiles : TileGrid
    row, col : ndarray of int, shape (n,)
        Of the tiles.
    fold : ndarray of int, shape (n,)
    roles : ndarray of str, shape (n,)
        Keys of `ROLE_COLOURS`.
    """
    left, bottom, right, top = (edge / 1000 for edge in tiles.grid.bounds)
    wide, high = right - left, top - bottom
    shade = hillshade(elevation, wide * 1000 / elevation.shape[1])
    edge, step = (n * tiles.grid.resolution / 1000 for n in (tiles.size, tiles.stride))
    scale = min(4.87 / wide, 7.5 / high)  # inches per km
    columns, names = max(2, round(wide * scale)), [f"fold {k}" for k in range(fold.max() + 1)]
    shades = FOLD_COLOURS if len(names) <= len(FOLD_COLOURS) else colormaps["viridis"](np.linspace(0, 1, len(names)))
    lines = max(-(-len(names) // columns), -(-len(ROLE_COLOURS) // columns))
    size = max(2 * wide * scale + 1.26, 5.6), high * scale + 1.2 + 0.21 * lines  # a narrow region has wide legends
    figure = Figure(figsize=size, layout="compressed")
    panels = (
        ("test fold of each tile", np.array(names)[fold], dict(zip(names, shades, strict=False))),
        ("role of each tile in fold 0", roles, {r: c for r, c in ROLE_COLOURS.items() if (roles == r).any()}),
    )
    for axes, (title, group, colours) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        axes.set_facecolor("0.93")
        axes.imshow(shade, cmap="gray", vmin=0, vmax=1, extent=(0, wide, 0, high))
        for name, colour in colours.items():
            here = np.flatnonzero(group == name)
            boxes = [patches.Rectangle((col[i] * step, high - row[i] * step - edge), edge, edge) for i in here]
            drawn = collections.PatchCollection(
                boxes, facecolor=colors.to_rgba(colour, 0.55), edgecolor="white", lw=0.7
            )
            axes.add_collection(drawn, autolim=False)
            axes.plot([], [], "s", color=colour, ms=8, label=f"{name} ({len(here)})")
        axes.set(xlabel="km from the west edge", title=title)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.5 / (high * scale)), ncols=columns, fontsize=8.5, frameon=False,
            handletextpad=0.1, columnspacing=0.8,
        )  # fmt: skip
        axes.set_aspect("equal")
    figure.axes[0].set_ylabel("km from the south edge")
    return figure
