"""The few lines that end `make run`: what came out, beside what a guess would score, and where the pictures are.

Reads metrics/ and nothing else, with the standard library alone, so that it costs no time.
"""

import json
import sys
from pathlib import Path

REPORT = "data/report.html"
HEADLINE = ("accuracy", "binary_accuracy", "balanced_accuracy", "quadratic_kappa", "auc_high", "class_mae", "loss")


def summary(folder: Path) -> str:
    """Text of the summary of a folder of metrics."""
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    baseline = evaluation["baseline"]["constant"]
    lines = [f"Out-of-fold skill on {evaluation['tiles']} tiles", f"  {'':<19}{'network':>9}{'constant guess':>16}"]
    for name in HEADLINE:
        better = "  (lower is better)" if name in ("class_mae", "loss") else ""
        lines.append(f"  {name:<19}{_number(evaluation[name]):>9}{_number(baseline[name]):>16}{better}")
    lines.append("AUC of the network, less that of what needs no network (95 % interval)")
    for name, against in evaluation["skill"].items():
        low, value, high = (_signed(against[key]) for key in ("auc_high_low", "auc_high", "auc_high_high"))
        lines.append(f"  {name:<19}{value:>9} ({low} to {high}): {against['verdict']} it")
    training = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    if training["stuck_folds"]:
        lines.append(f"  WARNING: {training['stuck_folds']} folds learnt nothing (loss at that of a uniform guess)")
    if training["dead_classes"]:
        lines.append(f"  WARNING: {training['dead_classes']} dead classes (a score that never moves), over all folds")
    pictures = sorted(str(p) for p in folder.rglob("*.png"))
    saliency = json.loads((folder / "saliency.json").read_text(encoding="utf-8"))
    lines.append(f"Does it use structure? {saliency['verdict']['answer']}")
    lines += [f"  {reason}" for reason in saliency["verdict"]["reasons"]]
    return "\n".join([*lines, "Pictures:", *(f"  {p}" for p in pictures), f"All of it on one page: {REPORT}"])


def _signed(value):
    return "-" if value is None else f"{value:+.3f}"


def _number(value):
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])))
