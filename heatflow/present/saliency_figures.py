"""Figures of saliency: examples of maps, their sanity checks, what they follow, and whether it is structure."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from heatflow.explanation.attribution import TITLES
from heatflow.explanation.explain import DISTANCES, Explanation
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.method_maps import MethodMaps
from heatflow.explanation.removal import STEPS
from heatflow.explanation.verdict import LEAST, MARGIN
from heatflow.present.figures import hillshade, north_arrow, scale_bar

SALIENCY_COLOURS = "PuOr_r"  # diverging and safe for all common kinds of colour blindness
STYLES = {  # colours of Okabe and Ito (2008), each with a mark of its own
    "gradient": ("#0072B2", "o", "gradient"), "guided_backprop": ("#D55E00", "s", "guided backpropagation"),
    "integrated_gradients": ("#009E73", "^", "integrated gradients"), "smooth_gradient": ("#56B4E9", "D", "SmoothGrad"),
    "grad_cam": ("#CC79A7", "v", "Grad-CAM"), "random": ("0.6", ".", "at random"),
    "slope": ("0.25", "x", "slope alone"), "relief": ("0.25", "1", "relief alone"),
    "edge": ("0.45", "+", "edge detector alone"), "edge_detector": ("0.45", "+", "edge detector alone"),
    "profile_curvature": ("0.45", "2", "profile curvature alone"),
    "plan_curvature": ("0.6", "3", "plan curvature alone"),
}  # fmt: skip
FAILED, LOST, ELSEWHERE, GUIDE = "#B00020", "#D55E00", "0.4", "0.5"  # colours


def surest_examples(label: np.ndarray, probability: np.ndarray) -> list[int | None]:
    """For each class the correct and the incorrect tile with the highest probability; None where there is none.

    Where no tile of a class is correct, as of a class that is never predicted, the one with the highest probability of
    its own class takes the place of the correct one.

    Parameters
    ----------
    label : int array, shape (n,)
    probability : float array, shape (n, classes)

    Examples
    --------
    >>> surest_examples(np.array([0, 0, 1]), np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]]))
    [1, None, 2, 2]
    """
    predicted, sureness = probability.argmax(axis=1), probability.max(axis=1)
    examples: list[int | None] = []
    for k, own in enumerate(probability.T):
        right = (label == k) & (predicted == k)
        correct, score = (right, sureness) if right.any() else (label == k, own)
        for here, by in ((np.flatnonzero(correct), score), (np.flatnonzero((label == k) & ~right), sureness)):
            examples.append(int(here[by[here].argmax()]) if here.size else None)
    return examples


def maps_figure(result: MethodMaps, tiles: ExplainedTiles, target: str | int) -> Figure:
    """The `surest_examples` with their saliency over hillshade: a row for each class, correct and incorrect.

    Parameters
    ----------
    result : MethodMaps
        Its failed tests stand above the figure.
    tiles : ExplainedTiles
        Predictions with ``n_wells`` and ``p0``, ``p1`` and so on.
    target : str or int
        What the maps are of, as in the param saliency.target.
    """
    warnings, classes = result.scores["warnings"], tiles.tile.class_ranges
    figure = Figure(figsize=(13.6, 0.9 + 3.25 * len(classes) + 0.22 * len(warnings)), layout="constrained")
    if warnings:
        figure.suptitle("\n".join(f"Failed a test. {w}" for w in warnings), fontsize=9, color=FAILED)
    grid = figure.subplots(len(classes), 4, squeeze=False)
    probability = tiles.predictions[tiles.tile.class_columns].to_numpy()
    examples = surest_examples(tiles.predictions["label"].to_numpy(), probability)
    for cell, (axes, example) in enumerate(zip(grid.reshape(-1, 2), examples, strict=True)):
        right = example is not None and tiles.predicted[example] == cell // 2
        kind = "correct" if right else "incorrect" if cell % 2 else "none correct, the nearest"
        if cell % 2 == 0:
            axes[0].set_ylabel(f"true class {classes[cell // 2]} mW/m²", fontsize=11)
        for each in axes:
            each.set(xticks=[], yticks=[], frame_on=example is not None)
        if example is None:
            axes[0].text(0.5, 0.5, "no such tile", ha="center", va="center", transform=axes[0].transAxes)
        else:
            axes[0].set_title(f"{kind}: {_caption(example, tiles, probability)}", fontsize=9, loc="left")
            elevation = tiles.networks.data.elevation(np.array([example]))[0]
            _draw_example(axes, elevation, result.maps[example], tiles.resolution)
    scale = ScalarMappable(Normalize(-1, 1), SALIENCY_COLOURS)
    bar = figure.colorbar(scale, ax=grid, orientation="horizontal", shrink=0.4, aspect=40, pad=0.01)
    title = f"{TITLES[result.method]} of {tiles.tile.explained(target)}".replace("m2", "m²")
    bar.set_label(f"{title}, as a share of the tile's 99th percentile of size")
    return figure


def _caption(example: int, tiles: ExplainedTiles, probability: np.ndarray) -> str:
    k, n_wells = int(tiles.predicted[example]), tiles.predictions["n_wells"][example]
    wells = "1 well" if n_wells == 1 else f"{n_wells} wells"
    return f"predicted {tiles.tile.class_ranges[k]}, p = {probability[example, k]:.2f}, {wells}"


def _draw_example(axes: np.ndarray, elevation: np.ndarray, saliency: np.ndarray, resolution: float) -> None:
    """Hillshade twice, with saliency over the second."""
    shade, strength = hillshade(elevation, resolution), _relative(saliency)
    for each in axes:
        each.imshow(shade, cmap="gray", vmin=0, vmax=1)
    scale_bar(axes[0], resolution, shade.shape[0])
    north_arrow(axes[0])
    axes[1].imshow(strength, cmap=SALIENCY_COLOURS, vmin=-1, vmax=1, alpha=np.clip(np.abs(strength) * 1.6, 0, 0.9))


def _relative(saliency: np.ndarray) -> np.ndarray:
    """Saliency over the 99th percentile of its size, within -1 to 1; zeros where the map is all zero."""
    size = np.abs(saliency[np.isfinite(saliency)])
    limit = (np.quantile(size, 0.99) or size.max()) if size.size else 0
    return np.clip(np.nan_to_num(saliency) / limit, -1, 1) if limit else np.zeros(saliency.shape)


def summary_figures(explanation: Explanation) -> dict[str, Figure]:
    """Figures of all methods together, by the name of their file."""
    figures = {"trust": sanity_figure(explanation), "association": association_figure(explanation)}
    figures |= {"features": features_figure(explanation)} if explanation.feature else {}
    return figures | ({"structure": structure_figure(explanation)} if explanation.effects else {})


def sanity_figure(explanation: Explanation) -> Figure:
    """Sanity checks: rank correlation with maps of randomised networks, and deletion and insertion curves."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    correlation, deletion, insertion = figure.subplots(1, 3)
    _randomisation(correlation, explanation.methods)
    kinds = ("deletion", "removed", "lower"), ("insertion", "restored", "higher")
    for axes, (kind, action, better) in zip((deletion, insertion), kinds, strict=True):
        for name, curve in explanation.curves.items():
            colour, mark, title = STYLES[name]
            if len(values := getattr(curve, kind)):
                share, control = 100 * STEPS, name in ("random", "slope")
                style, label = (":", title) if control else ("-", None)
                axes.plot(share, values.mean(axis=0), color=colour, marker=mark, ls=style, ms=4, label=label)
        axes.set(xlabel=f"share of the terrain {action}, %", ylabel="probability of what is explained")
        axes.set_title(f"{kind.capitalize()}, the most salient first ({better} is better)", fontsize=9)
        if not axes.lines:
            axes.text(0.5, 0.5, "no tile loses anything with its detail", ha="center", transform=axes.transAxes)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    legend: dict[str, Any] = {}  # one entry for each method, those of the controls from the curves
    for axes in (insertion, correlation):
        legend |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend([*legend.values()], [*legend], loc="outside lower center", ncols=8, fontsize=8, frameon=False)
    return figure


def _randomisation(axes: Axes, methods: dict[str, dict[str, Any]]) -> None:
    for name, scores in methods.items():
        colour, mark, title = _style(name, methods)
        steps = [*scores["after_randomised"]]
        axes.plot([1, *scores["after_randomised"].values()], color=colour, marker=mark, label=title)
        axes.plot(len(steps) + 1, _again(scores), color=colour, marker=mark, ls="")
    names = [name.replace("_", " ") for name in steps]
    axes.set_xticks(range(len(steps) + 2), ["trained", *names, "another network"], rotation=40, ha="right", fontsize=8)
    axes.set_title("Randomised from the top down (lower is better)\nand another network (higher)", fontsize=9)
    axes.set(ylim=(min(-0.1, axes.get_ylim()[0]), 1.05), ylabel="rank correlation with the trained network's map")


def _again(scores: dict[str, Any]) -> float:
    """Rank correlation of a method's maps with those of a second network."""
    return float(next(value for name, value in scores.items() if name.startswith("between_")))


def _style(name: str, methods: dict[str, dict[str, Any]]) -> tuple[str, str, str]:
    """Colour, mark and title, which says where a method failed a test."""
    colour, mark, title = STYLES[name]
    failed = name in methods and not methods[name]["passed"]
    return colour, mark, f"{title} (failed a test)" if failed else title


def association_figure(explanation: Explanation) -> Figure:
    """Mean rank correlation of |saliency| with each attribute, its interval, and whether it differs from chance."""
    table = explanation.association[explanation.association["group"] == "all"]
    attributes, methods = list(dict.fromkeys(table["attribute"])), list(dict.fromkeys(table["method"]))
    figure = Figure(figsize=(9, 1.6 + 0.62 * len(attributes)), layout="constrained")
    axes = figure.subplots()
    for number, method in enumerate(methods):
        colour, mark, title = _style(method, explanation.methods)
        rows = table[table["method"] == method].set_index("attribute").reindex(attributes)
        height = np.arange(len(attributes)) + (number - (len(methods) - 1) / 2) * 0.8 / len(methods)
        axes.hlines(height, rows["correlation_low"], rows["correlation_high"], color=colour, lw=1.5)
        sure = (rows["p_corrected"] < 0.05).to_numpy()
        edge = None if mark in "+x" else colour
        faces = np.where(sure | (mark in "+x"), colour, "white").tolist()
        axes.scatter(rows["correlation"], height, color=faces, edgecolor=edge, marker=mark, s=26, zorder=3)
        axes.plot([], [], color=colour, marker=mark, ls="", ms=5, label=title)
        axes.scatter(rows["by_chance"], height, color="0.3", marker="|", s=30, lw=1)
    axes.axvline(0, color=GUIDE, lw=0.8)
    axes.set_yticks(range(len(attributes)), [a.replace("_", " ") for a in attributes])
    axes.invert_yaxis()
    axes.set_xlabel("rank correlation within a tile, mean over tiles; filled: corrected p < 0.05; tick: by chance")
    axes.set_title("Does |saliency| follow the terrain?", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.grid(axis="x", alpha=0.3)
    return figure


def structure_figure(explanation: Explanation) -> Figure:
    """Whether it is structure, on one page: what is lost with it, maps beside their controls, and the verdict.

    Without known features, the effect of range fronts is all there is to show.
    """
    feature, methods = explanation.feature, explanation.methods
    figure = Figure(figsize=(16 if feature else 7, 5.4), layout="constrained")
    panels = figure.subplots(1, 3 if feature else 1, width_ratios=[1.2, 1, 1] if feature else None, squeeze=False)
    (name, effect), *_ = explanation.effects.items()
    _effect(panels[0, 0], name.replace("_", " "), effect)
    if feature:
        scores = {name: scores[feature] for name, scores in methods.items()} | explanation.controls
        _as_steep(panels[0, 1], feature, scores, methods)
        _reproducibility(panels[0, 2], methods)
    for axes in figure.axes:
        axes.grid(alpha=0.3, axis="x")
    figure.suptitle(f"Does the network use structure? Verdict: {explanation.verdict['answer']}", fontsize=13)
    return figure


def _effect(axes: Axes, feature: str, effect: dict[str, Any]) -> None:
    lost = {"lost": feature, "lost_lookalikes": "look-alikes", "lost_elsewhere": "terrain under masks\nof other tiles"}
    rows = {name: f"without {title}" for name, title in lost.items() if name in effect}
    rows |= {"excess": f"{feature} minus masks\nof other tiles", "effect": f"{feature} minus\n{effect['control']}"}
    colours = dict.fromkeys(rows, ELSEWHERE) | {"lost": LOST, "excess": LOST, "effect": FAILED}
    axes.axvspan(-MARGIN, MARGIN, color="0.92", zorder=0)
    for place, name in enumerate(rows):
        axes.hlines(place, effect[f"{name}_low"], effect[f"{name}_high"], color=colours[name], lw=3)
        axes.scatter(effect[name], place, color=colours[name], s=44, zorder=3)
        _write(axes, effect[name], place, effect, name)
    axes.margins(x=0.2)
    axes.axvline(0, color=GUIDE, lw=0.8)
    axes.axvline(LEAST, color=GUIDE, lw=0.8, ls=":")
    axes.axhline(len(rows) - 2.5, color=GUIDE, lw=0.8)
    axes.set_yticks(
        range(len(rows)), [title.replace("similar ground in", "similar ground in\n") for title in rows.values()]
    )
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlabel(
        "log-odds of the high classes lost, in standard deviations\n"
        "(grey: so small that it is none; dotted: the least that counts)"
    )
    axes.set_title(
        f"1. What does smoothing {feature} away cost?\n{effect['tiles']} tiles, p = {effect['p']:.2g}", fontsize=10
    )


def _as_steep(axes: Axes, feature: str, scores: dict[str, dict], methods: dict[str, dict]) -> None:
    order = sorted(scores, key=lambda name: (name not in methods, -scores[name]["auc_as_steep"]))
    for place, name in enumerate(order):
        axes.hlines(place, *(scores[name][f"auc_as_steep_{end}"] for end in ("low", "high")), color=STYLES[name][0])
        _mark(axes, scores[name]["auc_as_steep"], place, name, name not in methods or methods[name]["passed"])
        if name in methods:
            _write(axes, scores[name]["auc_as_steep"], place, scores[name], "beyond_control")
    axes.axvline(0.5, color=GUIDE, lw=0.8)
    axes.axhline(len(methods) - 0.5, color=GUIDE, lw=0.8)
    axes.set_yticks(range(len(order)), [STYLES[name][2] for name in order])
    axes.set_ylim(len(order) - 0.5, -0.9)
    axes.margins(x=0.25)
    axes.set_xlabel(f"AUC on {feature} among equally steep terrain\n(open: failed a sanity check)")
    axes.set_title(
        "2. Do maps point at them better than maps that\nneed no network? By how much than the best?", fontsize=10
    )


def _reproducibility(axes: Axes, methods: dict[str, dict]) -> None:
    for place, (name, scores) in enumerate(methods.items()):
        head, again = scores["after_randomised"]["head"], _again(scores)
        axes.plot([head, again], [place, place], color=STYLES[name][0], lw=1.5)
        _mark(axes, head, place, name, full=False)
        _mark(axes, again, place, name)
        _write(axes, (head + again) / 2, place, scores, "beyond_head")
    axes.set_yticks(range(len(methods)), [STYLES[name][2] for name in methods])
    axes.set_ylim(len(methods) - 0.5, -0.6)
    axes.set_xlim(-1.5, 1.5)  # room for words
    axes.set_xlabel("rank correlation with another network's map\n(open: with that of a random head)")
    axes.set_title("3. Do maps agree between networks\nbetter than with a random head?", fontsize=10)


def _mark(axes: Axes, x: float, y: float, name: str, full: bool = True) -> None:
    colour, mark, _ = STYLES[name]
    axes.plot(x, y, mark, color=colour, markerfacecolor=colour if full else "white", ms=6, zorder=3)


def _write(axes: Axes, x: float, y: float, scores: dict[str, Any], name: str) -> None:
    """A number and its interval over a place."""
    low, value, high = (scores[f"{name}{end}"] for end in ("_low", "", "_high"))
    words = f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
    text = axes.annotate(words, (x, y), (0, 8), textcoords="offset points", ha="center", fontsize=8)
    text.set_in_layout(False)


def features_figure(explanation: Explanation) -> Figure:
    """Ranks of known features by all maps, and strength by distance to the features."""
    feature, methods = str(explanation.feature), explanation.methods
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    scores = {name: scores[feature] for name, scores in methods.items()} | explanation.controls
    _known_features(left, feature, scores, methods)
    if explanation.distances is not None:
        _distances(right, feature, explanation.distances)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    return figure


def _known_features(axes: Axes, feature: str, scores: dict[str, dict], methods: dict[str, dict]) -> None:
    kinds = {
        "auc": "as it is", "auc_called_high": "as it is,\npredicted high", "auc_smoothed": "smoothed\nto 2.4 km",
        "auc_as_steep": "smoothed, among\nequally steep",
    }  # fmt: skip
    for number, (name, values) in enumerate(scores.items()):
        colour, mark, title = _style(name, methods)
        place = np.arange(len(kinds)) + (number - (len(scores) - 1) / 2) * 0.8 / len(scores)
        low, high = ([values[f"{k}_{end}"] for k in kinds] for end in ("low", "high"))
        axes.vlines(place, low, high, color=colour, lw=1.5)
        axes.scatter(place, [values[k] for k in kinds], color=colour, marker=mark, s=28, label=title, zorder=3)
    axes.axhline(0.5, color=GUIDE, lw=0.8)
    axes.set_xticks(range(len(kinds)), list(kinds.values()), fontsize=9)
    axes.set_ylabel(f"chance that a pixel near {feature} ranks higher (AUC)")
    axes.set_ylim(axes.get_ylim()[0] - 0.55 * np.ptp(axes.get_ylim()), None)  # room for the legend
    axes.legend(fontsize=7, ncols=2, loc="lower left")


def _distances(axes: Axes, feature: str, distances: pd.DataFrame) -> None:
    middle = (DISTANCES[1:] + DISTANCES[:-1]) / 2000
    for name, rows in distances[distances["group"] == "all"].groupby("map", sort=False):
        colour, mark, title = STYLES[str(name)]
        style = ":" if name in ("slope", "edge") else "-"
        axes.plot(middle, rows["strength"], color=colour, marker=mark, ms=4, ls=style, label=title)
    axes.axhline(1, color=GUIDE, lw=0.8)
    axes.set(xlabel=f"distance to the nearest of {feature}, km", ylabel="mean strength, over the mean of the tile")
    axes.legend(fontsize=7)
