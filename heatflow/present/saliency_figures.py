"""Figures of saliency: what was looked at, whether the maps can be trusted, and whether it is structure."""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from heatflow.present.figures import hillshade, north_arrow, scale_bar

SALIENCY_COLOURS = "PuOr_r"  # diverging and safe for all common kinds of colour blindness
STYLES = {  # colours of Okabe and Ito (2008), each with a mark of its own
    "gradient": ("#0072B2", "o", "gradient"),
    "guided_backprop": ("#D55E00", "s", "guided backpropagation"),
    "integrated_gradients": ("#009E73", "^", "integrated gradients"),
    "smooth_gradient": ("#56B4E9", "D", "SmoothGrad"),
    "grad_cam": ("#CC79A7", "v", "Grad-CAM"),
    "slope": ("0.25", "x", "slope alone"),
    "edge": ("0.45", "+", "edge detector alone"),
    "edge_detector": ("0.45", "+", "edge detector alone"),
    "relief": ("0.25", "1", "relief alone"),
    "profile_curvature": ("0.45", "2", "profile curvature alone"),
    "plan_curvature": ("0.6", "3", "plan curvature alone"),
    "random": ("0.6", ".", "at random"),
}


def saliency_figure(
    examples: list[dict | None],
    rows: list[str],
    columns: list[str],
    title: str,
    resolution: float,
    warnings: list[str] | None = None,
) -> Figure:
    """Tiles with their saliency over hillshade: a row for each class, columns for correct and incorrect predictions.

    Parameters
    ----------
    examples : for each cell, row by row, None or a dict: ``elevation``, ``saliency`` (size, size), ``caption``
    title : the method, and of what it is
    warnings : tests that the method failed, a sentence each
    """
    warnings = warnings or []
    extra = 0.22 * len(warnings)
    figure = Figure(figsize=(1.2 + 3.1 * len(columns) * 2, 0.9 + 3.25 * len(rows) + extra), layout="constrained")
    if warnings:
        figure.suptitle("\n".join(f"Failed a test. {w}" for w in warnings), fontsize=9, color="#B00020")
    grid = figure.subplots(len(rows), 2 * len(columns), squeeze=False)
    for cell, example in enumerate(examples):
        row, column = divmod(cell, len(columns))
        left, right = grid[row, 2 * column], grid[row, 2 * column + 1]
        for axes in (left, right):
            axes.set_xticks([])
            axes.set_yticks([])
        if column == 0:
            left.set_ylabel(f"true class {rows[row]} mW/m²", fontsize=11)
        if example is None:
            for axes in (left, right):
                axes.set_axis_off()
            left.set_axis_on()
            left.set_frame_on(False)
            left.text(0.5, 0.5, f"no {columns[column]} tile", ha="center", va="center", transform=left.transAxes)
            continue
        shade = hillshade(example["elevation"], resolution)
        left.imshow(shade, cmap="gray", vmin=0, vmax=1)
        scale_bar(left, resolution, shade.shape[0])
        north_arrow(left)
        left.set_title(f"{columns[column]}: {example['caption']}", fontsize=9, loc="left")
        strength = _relative(example["saliency"])
        right.imshow(shade, cmap="gray", vmin=0, vmax=1)
        right.imshow(strength, cmap=SALIENCY_COLOURS, vmin=-1, vmax=1, alpha=np.clip(np.abs(strength) * 1.6, 0, 0.9))
    scale = ScalarMappable(Normalize(-1, 1), SALIENCY_COLOURS)
    bar = figure.colorbar(scale, ax=grid, orientation="horizontal", shrink=0.4, aspect=40, pad=0.01)
    bar.set_label(f"{title}, as a share of the tile's 99th percentile of size")
    return figure


def _relative(saliency):
    """Saliency over the 99th percentile of its size, within -1 to 1; zeros where the map is all zero."""
    size = np.abs(saliency[np.isfinite(saliency)])
    limit = np.quantile(size, 0.99) if size.size else 0
    limit = limit or (size.max() if size.size else 0)
    return np.clip(np.nan_to_num(saliency) / limit, -1, 1) if limit else np.zeros(saliency.shape)


def trust_figure(methods: dict[str, dict], curves: dict, blind: float, remembered: float) -> Figure:
    """Whether maps can be trusted: likeness to those of networks drawn anew, and deletion and insertion curves.

    Parameters
    ----------
    methods : for each method the results of its trial
    curves : for each method and control its `Curves`
    blind, remembered : likeness above which a method fails with the classifier, and with everything, drawn anew
    """
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    forgotten, deletion, insertion = figure.subplots(1, 3)
    for name, found in methods.items():
        colour, mark, title = STYLES[name]
        steps = found["after_randomised"]
        label = title if found["passed"] else f"{title} (failed a test)"
        forgotten.plot(range(len(steps) + 1), [1, *steps.values()], color=colour, marker=mark, label=label)
        again = "between_seeds" if "between_seeds" in found else "between_folds"
        for place, key in enumerate(("after_shuffled_labels", again), start=len(steps) + 2):
            forgotten.plot(place, found[key], color=colour, marker=mark, ls="")
    names = [name.replace("_", " ") for name in steps]
    labels = ["trained", *names, "", "labels shuffled", f"another of the {again.removeprefix('between_')}"]
    forgotten.set_xticks(range(len(labels)), labels, rotation=40, ha="right", fontsize=8)
    forgotten.plot([0.6, 1.4], [blind, blind], color="#B00020", lw=2)
    end = len(names)
    forgotten.plot([end - 0.4, end + 0.4], [remembered, remembered], color="#B00020", lw=2, label="above it: fails")
    forgotten.set_ylim(-0.1, 1.05)
    forgotten.set_ylabel("rank correlation of |map| with the trained network's")
    forgotten.set_title(
        "Drawn anew from the top down, labels shuffled: lower is better;\ntrained once more: higher", fontsize=9
    )
    for axes, kind, better in ((deletion, "deletion", "lower"), (insertion, "insertion", "higher")):
        for name, curve in curves.items():
            colour, mark, title = STYLES[name]
            if not len(getattr(curve, kind)):
                continue
            mean = getattr(curve, kind).mean(axis=0)
            style = ":" if name in ("random", "slope") else "-"
            axes.plot(np.linspace(0, 100, len(mean)), mean, color=colour, marker=mark, ls=style, ms=4, label=title)
        axes.set_xlabel(f"share of the terrain {'taken away' if kind == 'deletion' else 'brought back'}, %")
        axes.set_ylabel("probability of the class predicted")
        axes.set_title(f"{kind.capitalize()}, the most salient first ({better} is better)", fontsize=9)
        if not axes.lines:
            axes.text(0.5, 0.5, "no tile loses anything with its detail", ha="center", transform=axes.transAxes)
    for axes in (forgotten, deletion, insertion):
        axes.grid(alpha=0.3)
    handles, labels = forgotten.get_legend_handles_labels()
    for handle, label in zip(*insertion.get_legend_handles_labels(), strict=True):
        if label in ("at random", "slope alone"):
            handles, labels = [*handles, handle], [*labels, label]
    figure.legend(handles, labels, loc="outside lower center", ncols=8, fontsize=8, frameon=False)
    return figure


def association_figure(table: pd.DataFrame, failed: list[str]) -> Figure:
    """Mean rank correlation of |saliency| with each attribute, its interval, and whether chance explains it.

    Parameters
    ----------
    table : of `associate`, the group of all tiles, with ``method``
    failed : methods that failed a test
    """
    attributes, methods = list(dict.fromkeys(table["attribute"])), list(dict.fromkeys(table["method"]))
    figure = Figure(figsize=(9, 1.6 + 0.62 * len(attributes)), layout="constrained")
    axes = figure.subplots()
    for number, method in enumerate(methods):
        colour, mark, title = STYLES[method]
        title += " (failed a test)" if method in failed else ""
        rows = table[table["method"] == method].set_index("attribute").reindex(attributes)
        height = np.arange(len(attributes)) + (number - (len(methods) - 1) / 2) * 0.8 / len(methods)
        low, high = rows["correlation_low"].to_numpy(), rows["correlation_high"].to_numpy()
        axes.hlines(height, low, high, color=colour, lw=1.5)
        sure = (rows["p_corrected"] < 0.05).to_numpy()
        axes.scatter(rows["correlation"][sure], height[sure], color=colour, marker=mark, s=26, label=title, zorder=3)
        face = colour if mark in "+x" else "white"
        axes.scatter(
            rows["correlation"][~sure],
            height[~sure],
            color=face,
            edgecolor=None if mark in "+x" else colour,
            marker=mark,
            s=26,
            zorder=3,
        )
        axes.scatter(rows["by_chance"], height, color="0.3", marker="|", s=30, lw=1)
    axes.axvline(0, color="0.5", lw=0.8)
    axes.set_yticks(range(len(attributes)), [a.replace("_", " ") for a in attributes])
    axes.invert_yaxis()
    axes.set_xlabel("rank correlation within a tile, mean over tiles; filled: corrected p < 0.05; tick: by chance")
    axes.set_title("Does |saliency| follow the terrain?", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.grid(axis="x", alpha=0.3)
    return figure


def structure_figure(
    feature: str | None,
    methods: dict[str, dict],
    controls: dict[str, dict],
    profiles: dict[str, np.ndarray],
    edges: np.ndarray,
    effects: dict[str, dict],
    verdict: dict,
) -> Figure:
    """Whether it is structure: ranks of known features, strength by distance to them, and what they are worth.

    Parameters
    ----------
    feature : name of the known features; None: there are none, and what range fronts are worth is all there is to show
    methods, controls : results with scores of `known_answer`, those of the methods under the name of the feature
    profiles : for each method mean strength by distance, over the tile's mean
    edges : of the bins of distance, metres
    effects : for each kind of feature the result of `Known.effect`
    verdict : with ``answer``
    """
    figure = Figure(figsize=(15 if feature else 6, 5.6), layout="constrained")
    if feature:
        ranks, away, worth = figure.subplots(1, 3, width_ratios=[1.35, 1, 0.95])
        _known_answer(ranks, feature, {name: found[feature] for name, found in methods.items()} | controls, methods)
        _by_distance(away, feature, profiles, edges)
    else:
        worth = figure.subplots()
    _worth(worth, effects)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    figure.suptitle(f"Does the network use structure? Verdict: {verdict['answer']}", fontsize=12)
    return figure


def _known_answer(ranks, feature, scores, methods):
    kinds = {
        "auc": "as it is",
        "auc_called_high": "as it is,\ncalled high",
        "auc_smoothed": "smoothed\nto 2.4 km",
        "auc_as_steep": "smoothed, among\nequally steep",
    }
    for number, (name, found) in enumerate(scores.items()):
        colour, mark, title = STYLES[name]
        place = np.arange(len(kinds)) + (number - (len(scores) - 1) / 2) * 0.8 / len(scores)
        low, high = ([found[f"{k}_{end}"] for k in kinds] for end in ("low", "high"))
        ranks.vlines(place, low, high, color=colour, lw=1.5)
        title += " (failed a test)" if name in methods and not methods[name]["passed"] else ""
        ranks.scatter(place, [found[k] for k in kinds], color=colour, marker=mark, s=28, label=title, zorder=3)
    ranks.axhline(0.5, color="0.5", lw=0.8)
    ranks.set_xticks(range(len(kinds)), list(kinds.values()), fontsize=9)
    ranks.set_ylabel(f"chance that a pixel near {feature} ranks higher (AUC)")
    bottom, top = ranks.get_ylim()
    ranks.set_ylim(bottom - 0.55 * (top - bottom), top)  # room for the legend
    ranks.legend(fontsize=7, ncols=2, loc="lower left")


def _by_distance(away, feature, profiles, edges):
    middle = (edges[1:] + edges[:-1]) / 2000
    for name, profile in profiles.items():
        colour, mark, title = STYLES[name]
        away.plot(
            middle, profile, color=colour, marker=mark, ms=4, ls=":" if name in ("slope", "edge") else "-", label=title
        )
    away.axhline(1, color="0.5", lw=0.8)
    away.set_xlabel(f"distance to the nearest of {feature}, km")
    away.set_ylabel("mean strength, over the mean of the tile")
    away.legend(fontsize=7)


def _worth(worth, effects):
    for number, found in enumerate(effects.values()):
        if not np.isfinite(found["effect"]):
            words = "too few tiles\nwith terrain\nas steep\nelsewhere"
            worth.text(number, 0.02, words, ha="center", va="bottom", fontsize=7)
            continue
        for shift, key, colour in ((-0.15, "lost", "#D55E00"), (0.15, "lost_elsewhere", "0.4")):
            worth.vlines(number + shift, found[f"{key}_low"], found[f"{key}_high"], color=colour, lw=2)
            worth.scatter(number + shift, found[key], color=colour, s=36, zorder=3)
    for label, colour in (("they are smoothed away", "#D55E00"), ("terrain as steep elsewhere", "0.4")):
        worth.plot([], [], "o", color=colour, label=label)
    worth.axhline(0, color="0.5", lw=0.8)
    names = [
        f"{name.replace('_', ' ')}\n{found['tiles']} of {found['tiles_with_features']}\ntiles"
        for name, found in effects.items()
    ]
    worth.set_xticks(range(len(effects)), names, fontsize=9)
    worth.set_xlim(-0.6, len(effects) - 0.4)
    worth.set_ylabel("log-odds of being high that are lost when")
    bottom, top = worth.get_ylim()
    worth.set_ylim(bottom, top + 0.2 * (top - bottom))  # room for the legend
    worth.legend(fontsize=8, loc="upper right")
