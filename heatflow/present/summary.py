"""The summary that ends `make run`, ``heatflow summary``: skill beside the baselines, the verdict, the pictures.

It reads metrics/ with the standard library alone, so that it takes no time.
"""

import json
from pathlib import Path
from typing import Any

from heatflow.present.wording import compared

REPORT = "data/report.html"
WARNINGS = {  # by the key of metrics/train.json that counts them
    "stuck_folds": "folds learned nothing: their loss is that of a uniform guess",
    "dead_classes": "dead classes, over all folds: their score is constant",
}
HEADLINE = ("accuracy", "quadratic_kappa", "auc_high", "site_auc", "loss")


def summary(folder: str | Path) -> str:
    """The summary of a run.

    Parameters
    ----------
    folder : str or Path
        The folder of metrics.

    Returns
    -------
    str
    """
    folder = Path(folder)
    names = ("evaluation", "train", "saliency")
    evaluation, training, saliency = (json.loads((folder / f"{n}.json").read_text(encoding="utf-8")) for n in names)
    guess = evaluation["baseline"]["constant"]
    lines = [f"Out-of-fold skill on {evaluation['tiles']} tiles and {evaluation['sites']} sites"]
    lines.append(f"  {'':<21}{'network':>9}{'constant guess':>16}")
    for name in HEADLINE:
        better = "  (lower is better)" if name == "loss" else ""
        lines.append(f"  {name:<21}{_text(evaluation[name]):>9}{_text(guess.get(name)):>16}{better}")
    lines.append("Difference in AUC, network minus baseline (95 % confidence interval), of tiles and of sites")
    for name, skill in evaluation["skill"].items():
        tile, site = (_difference(skill, key) for key in ("auc_high", "site_auc"))
        lines.append(f"  {name:<21}{tile}: {compared(skill['verdict'])}; {site}")
    lines += [f"  WARNING: {training[key]} {text}" for key, text in WARNINGS.items() if training[key]]
    lines += [f"Does it use structure? {saliency['verdict']['answer']}"]
    lines += [f"  {reason}" for reason in saliency["verdict"]["reasons"]]
    pictures = sorted(str(path) for path in folder.rglob("*.png"))
    return "\n".join([*lines, "Pictures:", *(f"  {path}" for path in pictures), f"Everything on one page: {REPORT}"])


def _difference(skill: dict[str, Any], key: str) -> str:
    low, value, high = (_text(skill[name], "+.3f") for name in (f"{key}_low", key, f"{key}_high"))
    return f"{value:>9} ({low} to {high})"


def _text(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
