"""The model card of a bundle: data, recipe, skill, checks, use and limits, every number from the metrics of the run."""

from importlib import resources
from inspect import getmembers, isfunction
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from heatflow.config.schema import Params
from heatflow.present import wording
from heatflow.present.provenance import file_name

NUMBERS = {  # metrics/*.json that the card reads, and the keys that it uses
    "terrain": ("source_pixel",),
    "wells": ("read", "kept", "residual"),
    "filter": ("tiles", "kept", "classes"),
    "train": ("train_loss",),
    "evaluation": ("auc_high", "site_auc", "site_ceiling", "baseline", "skill", "sites"),
    "saliency": ("verdict", "methods"),
    "map": ("inside_applicability", "applicability_threshold"),
}
RECIPE = ("normalize", "augment", "model", "train")


def model_card(params: Params, numbers: dict[str, Any], folds: int, versions: dict[str, str]) -> str:
    """The model card of a run.

    Parameters
    ----------
    params : Params
        Of which ``data.elevation``, ``data.layers``, ``data.wells``, ``split``, ``terrain``, ``tile`` and those of the
        recipe are used.
    numbers : dict of dict
        Metrics by the names in `NUMBERS`; ``sets``, the ``level`` of prediction sets with the first row
        of `heatflow.evaluation.prediction_sets.coverage`.
    folds : int
        Number of folds in the bundle.
    versions : dict of str
        Of packages, by name.

    Returns
    -------
    str
        Markdown.
    """
    data, tile, radius = params.data, params.tile, params.terrain.detrend_radius
    trend = "none subtracted: the raster was detrended already"
    if radius is not None:
        trend = f"linear trend within {radius / 1000:g} km subtracted"
    layers = {name: file_name(path) for name, path in data.layers.items()}
    recipe = {name: getattr(params, name).model_dump(mode="json") for name in RECIPE}
    words = dict(getmembers(wording, isfunction))
    template = (resources.files("heatflow.present") / "model_card.md").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    counts = numbers["filter"]["classes"]
    text = environment.from_string(template).render(
        words | numbers, params=params, tile=tile, folds=folds, seeds=params.train.seeds, versions=versions,
        region="the synthetic demo region" if data.is_demo else file_name(data.elevation), demo=data.is_demo,
        elevation=file_name(data.elevation), wells_file=file_name(data.wells), trend=trend, layers=layers,
        classes=", ".join(map(wording.range_text, tile.class_ranges)),
        edge=tile.size * params.terrain.resolution / 1000,
        counts=", ".join(f"{counts.get(str(k), 0)}" for k in range(tile.n_classes)),
        recipe=yaml.safe_dump(recipe, sort_keys=False),
    )  # fmt: skip
    return wording.breakable(text)
