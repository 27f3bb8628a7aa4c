"""The report: one page that holds everything, and needs nothing but a browser."""

import base64
import io
import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image

from heatflow.present.charts import interval_chart, line_chart
from heatflow.present.figures import hillshade

MOST_PIXELS = 1100  # along an edge of the pictures of the interactive map
THUMBNAIL = 72  # pixels along the edge of a tile's picture
MOST_THUMBNAILS = 1000  # tiles; beyond, the page would be too large to send by mail
MOST_WELLS = 6000
MOST_ROWS = 600  # of the table of tiles
CLASS_COLOURS = ("#4477AA", "#66CCEE", "#DDAA33", "#BB5566", "#AA3377", "#228833")
NAMES = {
    "constant": "constant guess", "terrain": "terrain statistics, forest",
    "terrain_linear": "terrain statistics, linear", "count": "number of wells", "position": "position of the tile",
    "network": "the network", "guided_backprop": "guided backpropagation", "smooth_gradient": "SmoothGrad",
    "grad_cam": "Grad-CAM", "random": "random numbers", "edge": "edge detector",
}  # fmt: skip
TRUST = {  # tests of a map, and which way is better
    "lattice_share": "lattice of the strides, share of energy",
    "after_shuffled_labels": "likeness, labels shuffled (lower)",
    "between_folds": "likeness, another fold (higher)",
    "between_seeds": "likeness, another seed (higher)",
    "deletion": "deletion (lower)",
    "insertion": "insertion (higher)",
}
KNOWN = ("auc", "auc_called_high", "auc_as_steep")  # scores of a map held against known features


def render(content: dict) -> str:
    """The page as HTML; whatever comes from data is escaped.

    Parameters
    ----------
    content : see the template, heatflow/present/page/report.html
    """
    page = resources.files("heatflow.present") / "page"
    texts = {name: (page / name).read_text(encoding="utf-8") for name in ("report.html", "report.css", "report.js")}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters = (named, number, percent, within, chance)
    environment.filters |= {text.__name__: text for text in filters}
    environment.globals |= {"percent": percent, "signed": signed}
    return environment.from_string(texts["report.html"]).render(
        css=Markup(texts["report.css"]), js=Markup(texts["report.js"]), **content
    )


def named(key: str) -> str:
    """What a person calls it."""
    return NAMES.get(key, key.replace("_", " "))


def number(value: float | None, digits: int = 3) -> str:
    """A number as text; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}" if isinstance(value, (float, np.floating)) else f"{value:,}"


def percent(value: float | None) -> str:
    """A share as text."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def chance(value: float) -> str:
    """A probability to two digits; nothing is certain, whatever the rounding says.

    >>> chance(0.999), chance(0.5), chance(0.0001)
    ('>0.99', '0.50', '<0.01')
    """
    return "–" if not math.isfinite(value) else ">0.99" if value > 0.99 else "<0.01" if value < 0.01 else f"{value:.2f}"


def signed(value: float | None) -> str:
    """A difference as text, with its sign."""
    return "–" if value is None or not math.isfinite(value) else f"{value:+.3f}"


def within(scores: dict, key: str, text=number) -> str:
    """A score with its 95 % interval, where it has one."""
    value, low, high = (scores.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if any(end is None or not math.isfinite(end) for end in (value, low, high)) or text(low) == text(high):
        return text(value)
    return f"{text(value)} ({text(low)} to {text(high)})"


def short(value: float | None) -> str:
    """A number to two digits."""
    return number(value, 2)


def headline(evaluation: dict, classes: list[str], high: str) -> list[str]:
    """What the predictions are worth, in sentences that the numbers choose.

    Parameters
    ----------
    evaluation : metrics/evaluation.json
    high : such as "above 50 mW/m²"
    """
    guess, skill = evaluation["baseline"]["constant"], evaluation["skill"]
    others = {name: scores for name, scores in evaluation["baseline"].items() if name != "constant"}
    sentences = [
        f"Of {evaluation['tiles']} tiles that the networks had not seen, {within(evaluation, 'accuracy', percent)} are "
        f"given the right one of {len(classes)} classes; the commonest alone gives {percent(guess['accuracy'])}."
    ]
    against = skill["constant"]["verdict"]
    if evaluation["auc_high"] is None:
        return [*sentences, f"Either all tiles are {high} or none is: there are no two kinds to tell apart."]
    auc = f"The chance that a tile {high} is ranked above one that is not is {within(evaluation, 'auc_high')}"
    sentences.append(
        f"{auc}, above the 0.5 of a guess."
        if against == "above"
        else f"{auc}, not surely above the 0.5 of a guess: no skill can be told from guessing."
    )
    if others:
        best = max(others, key=lambda name: others[name]["auc_high"])
        sentences.append(
            f"Of what needs no network, “{named(best)}” does best, with {number(others[best]['auc_high'])}; the "
            f"network is {skill[best]['verdict']} it: {within(skill[best], 'auc_high', signed)}."
        )
        below = [named(name) for name in others if skill[name]["verdict"] != "above" and name != best]
        if below:
            sentences.append(f"It is not surely above: {', '.join(below)}.")
    return sentences


def skill_charts(evaluation: dict, success: pd.DataFrame, reliability: pd.DataFrame, high: str) -> dict[str, Markup]:
    """Charts of skill: AUC of all predictions, success rate and calibration."""
    if evaluation["auc_high"] is None:
        return {"auc": Markup(""), "success": Markup(""), "reliability": Markup("")}
    rows = [("the network", *(evaluation[f"auc_high{end}"] for end in ("", "_low", "_high")))]
    for name, scores in evaluation["baseline"].items():
        rows.append((named(name), *(scores[f"auc_high{end}"] for end in ("", "_low", "_high"))))
    spoken = "; ".join(f"{name} {value:.3f}" for name, value, *_ in rows)
    curves = {
        named(name): (part["searched"].tolist(), part["found"].tolist())
        for name in success["prediction"].unique().tolist()
        if name != "constant" and len(part := success[success["prediction"] == name])
    }
    observed: dict = {"the network": (reliability["predicted"].tolist(), reliability["observed"].tolist())}
    return {
        "auc": Markup(interval_chart(rows, f"AUC of {high}, with 95 % interval", 0.5, f"AUC: {spoken}")),
        "success": Markup(
            line_chart(
                curves, "share of tiles searched, the most probable first", f"share of tiles {high} found",
                "Success rate: share of high tiles found by the share of tiles searched, for each prediction",
            )
        ),
        "reliability": Markup(
            line_chart(
                observed, f"predicted probability of {high}", "observed share",
                "Calibration: observed share of high tiles by predicted probability; on the diagonal it is as promised",
            )
        ),
    }  # fmt: skip


def confusion_table(confusion: pd.DataFrame, classes: list[str]) -> list[list[int]]:
    """Counts, a row for each true class, from metrics/confusion.csv."""
    counts = confusion.groupby(["actual", "predicted"]).size()
    return [[int(counts.get((actual, called), 0)) for called in classes] for actual in classes]


def trust_rows(methods: dict[str, dict]) -> list[tuple[str, list[str]]]:
    """Tests of the maps, a value for each method.

    Parameters
    ----------
    methods : of metrics/saliency.json
    """
    rows = [("passed", ["yes" if found["passed"] else "no" for found in methods.values()])]
    steps = next(iter(methods.values()))["after_randomised"]
    for step in steps:
        title = f"likeness, drawn anew down to {step.replace('_', ' ')} (lower)"
        rows.append((title, [short(found["after_randomised"].get(step)) for found in methods.values()]))
    for key, title in TRUST.items():
        if any(key in found for found in methods.values()):
            rows.append((title, [number(found.get(key)) for found in methods.values()]))
    return rows


def known_rows(methods: dict[str, dict], controls: dict[str, dict]) -> tuple[str, list[tuple[str, list[str]]]]:
    """What was held against known features, and a row of scores for each map: those of the network, then the controls.

    Parameters
    ----------
    methods, controls : of metrics/saliency.json

    Returns
    -------
    name : "structures" or "faults"; "" where none were given
    rows : name of the map, its `KNOWN` scores with their intervals
    """
    name = next((f for f in ("structures", "faults") if any(f in found for found in methods.values())), "")
    if not name:
        return "", []
    maps = [(named(m), found.get(name, {})) for m, found in methods.items()]
    maps += [(f"{named(c)} (no network)", found) for c, found in controls.items()]
    return name, [(title, [within(found, key) for key in KNOWN]) for title, found in maps]


def strata_rows(table: pd.DataFrame) -> list[dict]:
    """Rows of AUC by the number of wells, from metrics/strata.csv."""

    def cell(part, name):
        rows = part[part["prediction"] == name].to_dict("records")
        return within(rows[0], "auc", short) if rows else "–"

    return [
        {
            "wells": wells, "tiles": int(part["tiles"].iloc[0]), "share": float(part["high_share"].iloc[0]),
            **{name: cell(part, name) for name in ("network", "terrain_linear", "count")},
        }
        for wells, part in table.groupby("wells", sort=False)
    ]  # fmt: skip


def statistics_rows(table: pd.DataFrame) -> list[dict]:
    """Rows of AUC among tiles with a like number of wells, by the statistic of them, from metrics/statistics.csv."""
    return [
        {"statistic": statistic, **{row["prediction"]: within(row, "auc", short) for row in part.to_dict("records")}}
        for statistic, part in table[table["wells"] == "equal"].groupby("statistic", sort=False)
    ]


def limits(tiles: int, wells: int) -> list[str]:
    """What the interactive map leaves out of so many tiles and wells, in sentences."""
    found = []
    if wells > MOST_WELLS:
        found.append(f"{MOST_WELLS:,} of {wells:,} wells are drawn.")
    if tiles > MOST_THUMBNAILS:
        found.append(f"With more than {MOST_THUMBNAILS:,} tiles there are no pictures of them.")
    return found


def picture(path: Path) -> str:
    """A PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _uri(image: Image.Image, kind: str) -> str:
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 78} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64," + base64.b64encode(out.getvalue()).decode("ascii")


def layer(values: np.ndarray, colours: str, low: float, high: float, alpha: float = 0.75) -> str:
    """A raster as a picture with clear pixels where it is NaN, as a data URI.

    Parameters
    ----------
    values : float array, shape (rows, columns)
    colours : a matplotlib colour map, from `low` to `high`
    """
    rgba = colormaps[colours](np.clip((values - low) / ((high - low) or 1), 0, 1), bytes=True)
    rgba[..., 3] = np.where(np.isfinite(values), round(255 * alpha), 0)
    rgba[~np.isfinite(values), :3] = 0
    return _uri(Image.fromarray(rgba), "PNG")


def class_colours(n: int) -> list[str]:
    """A colour for each of n classes, from low to high.

    >>> class_colours(2)
    ['#4477AA', '#66CCEE']
    """
    if n <= len(CLASS_COLOURS):
        return list(CLASS_COLOURS[:n])
    return [to_hex(colour) for colour in colormaps["turbo"](np.linspace(0.05, 0.95, n))]


def ramp(colours: str) -> str:
    """A matplotlib colour map as a CSS gradient, from left to right."""
    stops = ", ".join(to_hex(colormaps[colours](k / 8)) for k in range(9))
    return f"linear-gradient(to right, {stops})"


def ablation_rows(table: pd.DataFrame) -> list[dict]:
    """Rows of a table that ``benchmarks.ablation`` wrote, None where a run is held against nothing."""
    with_none = table.astype(object).where(table.notna(), None)
    return with_none.to_dict("records")


def terrain_layer(elevation: np.ndarray, resolution: float) -> str:
    """Hillshade of terrain as a data URI; no data is light grey."""
    shade = hillshade(elevation, resolution)
    return _uri(Image.fromarray((np.where(np.isnan(shade), 0.93, shade) * 255).astype(np.uint8)), "JPEG")


def thumbnails(tiles: list[np.ndarray], maps: list[np.ndarray], resolution: float) -> dict | None:
    """All tiles in one picture, and once more with saliency on top; None where there are too many.

    Parameters
    ----------
    tiles : float arrays (size, size), metres
    maps : signed saliency of each, the same shape

    Returns
    -------
    dict
        ``columns`` and ``edge`` (pixels) of the pictures, ``terrain`` and ``saliency`` as data URIs
    """
    if not tiles or len(tiles) > MOST_THUMBNAILS:
        return None
    columns = int(np.ceil(np.sqrt(len(tiles))))
    rows = -(-len(tiles) // columns)
    sheets = {
        name: Image.new("RGB", (columns * THUMBNAIL, rows * THUMBNAIL), "#eeeeee") for name in ("terrain", "saliency")
    }
    for k, (elevation, saliency) in enumerate(zip(tiles, maps, strict=True)):
        shade = hillshade(elevation, resolution)
        grey = Image.fromarray((np.where(np.isnan(shade), 0.93, shade) * 255).astype(np.uint8)).convert("RGB")
        place = (k % columns * THUMBNAIL, k // columns * THUMBNAIL)
        small = grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        sheets["terrain"].paste(small, place)
        size = np.abs(np.nan_to_num(saliency))
        strength = np.nan_to_num(saliency) / (np.quantile(size, 0.99) or size.max() or 1)
        strength = np.clip(strength, -1, 1)
        colour = Image.fromarray(colormaps["PuOr_r"]((strength + 1) / 2, bytes=True)).convert("RGB")
        mask = Image.fromarray((np.clip(np.abs(strength) * 1.6, 0, 0.85) * 255).astype(np.uint8))
        over = Image.composite(colour, grey, mask).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        sheets["saliency"].paste(over, place)
    return {"columns": columns, "edge": THUMBNAIL, **{name: _uri(sheet, "JPEG") for name, sheet in sheets.items()}}


def map_data(
    predictions: pd.DataFrame,
    wells: pd.DataFrame,
    size: float,
    classes: list[str],
    sheets: dict | None,
    statistic: str,
) -> Markup:
    """What the interactive map needs, as JSON that cannot end its script element.

    Parameters
    ----------
    predictions : ``x``, ``y`` (upper-left corner, km), ``tile``, ``label``, ``predicted``, ``fold``, ``n_wells``,
        ``residual``, ``p0`` ...
    wells : ``x``, ``y`` (km), ``label``
    size : edge of a tile, km
    statistic : what the residual of a tile is
    """
    columns = ["tile", "label", "predicted", "fold", "n_wells"]
    numbers = predictions[columns].astype(int).to_numpy().tolist()
    places = predictions[["x", "y", "residual"]].to_numpy(dtype=float).round(3).tolist()
    probability = predictions[[f"p{k}" for k in range(len(classes))]].to_numpy(dtype=float).round(3).tolist()
    tiles = [
        {
            "x": x,
            "y": y,
            "id": tile,
            "label": label,
            "called": called,
            "fold": fold,
            "wells": n,
            "residual": most,
            "p": p,
        }
        for (tile, label, called, fold, n), (x, y, most), p in zip(numbers, places, probability, strict=True)
    ]
    some = np.unique(np.linspace(0, max(len(wells) - 1, 0), min(len(wells), MOST_WELLS)).astype(int))
    shown = wells[["x", "y", "label"]].to_numpy(dtype=float)[some].round(2).tolist()
    content = {
        "tiles": tiles, "size": size, "classes": classes, "statistic": statistic,
        "colours": class_colours(len(classes)),
        "wells": [[x, y, int(label)] for x, y, label in shown],
        "sheet": None if sheets is None else {k: sheets[k] for k in ("columns", "edge")},
    }  # fmt: skip
    return script_json(content)


def script_json(content) -> Markup:
    """JSON for a script element: no '<' in it, so that no text in the data can close the element."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
