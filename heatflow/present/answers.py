"""The three answers on the first screen of the report, each with one number and one picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from PIL import Image
from rasterio import DatasetReader

from heatflow.evaluation.intervals import RELEVANT
from heatflow.io.rasters import read_overview
from heatflow.present import images
from heatflow.present.charts import interval_chart
from heatflow.present.wording import compared, exists, named, number, short, signed, within

RELIEF = ("terrain", "terrain_linear", "terrain_trend", "terrain_trend_linear", "local")  # statistics of terrain
DECIDING = ("structures", "faults")  # effects that can decide the verdict
ANSWERS = {
    "uses structure": "Yes, it uses structure.", "does not use structure": "No, it does not.",
    "uses local relief, not its arrangement": "No: it uses relief, not its arrangement.",
}  # fmt: skip
UNDECIDED = (
    "A yes needs skill above a guess and an effect that is surely not just luck; a no needs one that is surely near 0."
)
CARD, NAMES = 350, 128  # widths of a chart in a card, and of its names
PIXELS, MOST_PLACES = 420, 12  # of the map in a card
SIZE = 1.96  # standard errors from the middle to the end of a 95 % interval


@dataclass(frozen=True)
class Answer:
    """An answer of the first screen.

    Parameters
    ----------
    question, answer : str
    number : str
        With its interval.
    meaning : str
        What the number is.
    picture : Markup
        An SVG element; empty for none.
    more : tuple of str
        Sentences.
    link : str
        Of the section with the evidence.
    """

    question: str
    answer: str
    number: str
    meaning: str
    picture: Markup
    more: tuple[str, ...]
    link: str


def skill(evaluation: Mapping[str, Any], baselines: pd.DataFrame, high: str) -> Answer:
    """Whether terrain tells more than a guess and than relief.

    Parameters
    ----------
    evaluation : mapping
        Content of metrics/evaluation.json.
    baselines : DataFrame
        Content of data/tables/baselines.csv.
    high : str
        Such as "above 50 mW/m²".
    """
    question = "Does terrain tell more than a guess, and than relief?"
    if evaluation["auc_high"] is None:
        why = f"It cannot be told: either all tiles are {high} or none is."
        return Answer(question, why, "–", "", Markup(""), (), "skill")
    others = {name: scores for name, scores in evaluation["baseline"].items() if name != "constant"}
    verdicts = {name: evaluation["skill"][name]["verdict"] for name in evaluation["baseline"]}
    relief = {name: others[name]["auc_high"] for name in RELIEF if name in others}
    equal = [named(name) for name in others if verdicts[name] != "above"]
    more = []
    if relief:
        best = max(relief, key=lambda name: relief[name])
        against = within(evaluation["skill"][best], "auc_high", signed)
        more.append(f"The best statistics of relief ({named(best)}) have {number(relief[best])}. "
                    f"The network minus that: {against}, {compared(verdicts[best])}.")  # fmt: skip
    if equal:
        more.append(f"It is not clearly better than: {'; '.join(equal)}.")
    if verdicts["constant"] != "above":
        answer = "It is not shown to be better than a guess."
        if exists(evaluation["auc_high_low"]) and evaluation["auc_high_low"] > 0.5:
            least, number_of = RELEVANT["auc_high"], len(verdicts)
            more.insert(0, f"The interval lies above 0.5. A yes needs more: surely more than {least} above it, at "
                        f"{number_of} comparisons.")  # fmt: skip
    elif not relief:
        answer = "Yes, more than a guess."
    elif all(verdicts[name] == "above" for name in relief):
        answer = "Yes, more than both."
    else:
        answer = "More than a guess, but not clearly more than relief."
    meaning = f"AUC: the chance that a tile with a residual {high} is ranked above one without. A guess has 0.5."
    shown = ["network", *sorted(others, key=lambda name: -others[name]["auc_high"])[:3]]
    if relief and best not in shown:
        shown[-1] = best
    rows = baselines[baselines["metric"] == "auc_high"].set_index("prediction").reindex(shown)
    bars = [(named(str(name)), *ends) for name, *ends in rows[["value", "low", "high"]].dropna(how="all").itertuples()]
    return Answer(question, answer, within(dict(evaluation), "auc_high"), meaning, _chart(bars, "AUC of tiles", 0.5),
                  tuple(more), "skill")  # fmt: skip


def structure(saliency: Mapping[str, Any]) -> Answer:
    """Whether the network uses structure, from the content of metrics/saliency.json."""
    verdict, effects = saliency["verdict"], saliency["effects"]
    known = next((name for name in DECIDING if name in effects), None)  # range fronts decide nothing: not shown
    meaning, amount, picture, more = "", "–", Markup(""), list[str]()
    if known is None:
        meaning = "Give known structures or faults to ask: data.structures, data.faults."
    if measured := known is not None and exists(effects[known]["effect"]):
        effect, amount = effects[known], within(effects[known], "effect", signed)
        meaning = (
            f"What the network loses when {named(known)} are smoothed away, beyond what it loses with "
            f"{effect['control']}: log-odds of being high, in standard deviations ({effect['tiles']} tiles)."
        )
        rows = {"lost": f"without {named(known)}", "lost_lookalikes": "without look-alikes",
                "lost_elsewhere": "under masks of other tiles"}  # fmt: skip
        ends = ("", "_low", "_high")
        bars = [(title, *(effect[f"{row}{end}"] for end in ends)) for row, title in rows.items() if row in effect]
        picture = _chart(bars, "log-odds lost", 0.0)
        if "lost_lookalikes" in effect:
            more.append("Look-alikes consist of the same hills in another arrangement. A network that uses structure "
                        "loses nothing without them.")  # fmt: skip
    if verdict["answer"] not in ANSWERS:
        more.insert(0, UNDECIDED if measured else verdict["reasons"][-1])
    return Answer("Does the network use structure?", ANSWERS.get(verdict["answer"], "It cannot be told."), amount,
                  meaning, picture, tuple(more), "saliency")  # fmt: skip


def places(top: pd.DataFrame, picture: Markup, high: str, tile_km: float, *, skilled: bool) -> Answer:
    """Where to look next.

    Parameters
    ----------
    top : DataFrame
        Best windows of the prediction map, as `heatflow.prediction.best_places` makes them.
    picture : Markup
        Result of `map_picture`.
    high : str
        Such as "above 50 mW/m²".
    tile_km : float
        Edge of a window.
    skilled : bool
        Whether the network is better than a guess.
    """
    question = "Where would you look next?"
    if top.empty:
        return Answer(question, "Nowhere: no window is inside the area of applicability.", "–", "", picture, (),
                      "region")  # fmt: skip
    ranked = top.sort_values("rank")
    best = ranked.iloc[0]
    error = SIZE * (best["p_high"] - best["p_cautious"]) if best["networks"] > 1 else float("nan")
    scores = {
        "p": best["p_high"],
        "p_low": max(best["p_high"] - error, 0.0),
        "p_high": min(best["p_high"] + error, 1.0),
    }
    bare = ranked[ranked["n_wells"] == 0]["rank"]
    where = f"{_degrees(best['lat'], 'N', 'S')}, {_degrees(best['lon'], 'E', 'W')}"
    shown = f"{min(len(top), MOST_PLACES)} of {len(top)}"
    more = [f"The map shows the best {shown} places, by rank; yellow is probable, blue is not."]
    if len(bare) and bare.iloc[0] != 1:
        more.append(f"The first without a well is number {int(bare.iloc[0])}.")
    wells, networks = (int(best[name]) for name in ("n_wells", "networks"))
    if not skilled:
        meaning = "This is the best place of the map. The network has no clear skill, so its probability is not shown."
        return Answer(question, where, "–", meaning, picture, tuple(more), "region")
    meaning = (f"Probability that the largest residual (heat flow above the background) in this window of "
               f"{tile_km:g} km, which has {wells} wells, is {high}. The interval is that of its {networks} networks "
               "alone.")  # fmt: skip
    return Answer(question, where, within(scores, "p", short), meaning, picture, tuple(more), "region")


def map_picture(terrain: DatasetReader, probability: DatasetReader, top: pd.DataFrame, high: str) -> Markup:
    """Probability of being high over hillshade with the best places by rank, as an SVG element.

    Parameters
    ----------
    terrain, probability : rasterio.DatasetReader
        The last band of the second is shown.
    top : DataFrame
        ``rank``, ``x`` and ``y`` (map coordinates of the centre).
    high : str
        Such as "above 50 mW/m²".
    """
    elevation, shares = read_overview(terrain, PIXELS), probability.read(probability.count)
    shade = images.shaded(elevation, terrain.res[0] * terrain.width / elevation.shape[1])
    colours = images.coloured(shares, "viridis", 0, 1)
    (width, height), (left, _, _, upper) = shade.size, terrain.bounds
    scale = width / (terrain.width * terrain.res[0])
    edges = [round(n * probability.res[0] * scale) for n in (probability.width, probability.height)]
    whole = shade.convert("RGB")
    colours = colours.resize((edges[0], edges[1]), Image.Resampling.NEAREST)
    whole.paste(colours, (0, 0), colours)
    parts = [f'<image href="{images.data_uri(whole, "JPEG")}" width="{width}" height="{height}"/>']
    for rank, x, y in top.sort_values("rank")[["rank", "x", "y"]].head(MOST_PLACES).itertuples(index=False):
        place = f'{(x - left) * scale:.1f}" {{}}="{(upper - y) * scale:.1f}"'
        parts.append(f'<circle cx="{place.format("cy")} r="11" class="place"/>')
        parts.append(f'<text x="{place.format("y")} dy="4.5" text-anchor="middle" class="rank">{int(rank)}</text>')
    label = escape(f"Map of the probability of {high}, dark 0 to light 1, with the best places by rank")
    return Markup(f'<svg class="card" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
                  f"{''.join(parts)}</svg>")  # fmt: skip


def _chart(bars: list[tuple[str, float, float | None, float | None]], axis: str, reference: float) -> Markup:
    values = "; ".join(f"{name} {within({'v': v, 'v_low': a, 'v_high': b}, 'v')}" for name, v, a, b in bars)
    return interval_chart(bars, f"{axis}, 95 % interval", reference, f"{axis}: {values}", CARD, NAMES)


def _degrees(value: float, positive: str, negative: str) -> str:
    return "–" if not np.isfinite(value) else f"{abs(value):.2f}° {positive if value >= 0 else negative}"
