"""The campaign of seeds, precisions and processors: what it keeps of a run, and what it says of several."""

import pandas as pd

from benchmarks import stability

EVALUATION = {"auc_high": 0.7, "added": {"loss": -0.02}, "skill": {"count": {"verdict": "above"}}}
SALIENCY = {
    "verdict": {"answer": "cannot be told"}, "methods": {"gradient": {"passed": True}},
    "effects": {"structures": {"effect": 0.1, "lost": 0.3}},
}  # fmt: skip


def test_headline_numbers_and_words_of_a_run():
    assert stability.headline(EVALUATION, SALIENCY) == {
        "auc_high": 0.7, "added.loss": -0.02, "structures.effect": 0.1, "above count": "above",
        "verdict": "cannot be told", "gradient passes": "yes",
    }  # fmt: skip


def test_a_conclusion_that_changes_is_marked():
    one = stability.headline(EVALUATION, SALIENCY)
    other = one | {"auc_high": 0.6, "above count": "within noise of"}
    runs = (("A", "seed 1", one), ("A", "AVX2, seed 1", other), ("B", "seed 1", one))
    table = pd.DataFrame([{"processor": kind, "key": "0", "run": name} | found for kind, name, found in runs])
    lines = stability.page(table).splitlines()
    number, of_other = (line for line in lines if "auc_high" in line)
    assert [cell.strip() for cell in number.split("|")][2:8] == ["A", "0.700", "0.650", "0.071", "0.600", "0.700"]
    assert [cell.strip() for cell in of_other.split("|")][2:5] == ["B", "0.700", "0.700"]
    (changed,) = (line for line in lines if "above count" in line)
    assert "above: 2, within noise of: 1" in changed
    assert "**yes**" in changed
    assert sum("**yes**" in line for line in lines) == 1


def test_runs_are_those_that_the_evidence_asks_for():
    assert len(stability.RUNS) == 11
    assert {tuple(sorted(run.environment)) for run in stability.RUNS.values()} == {(), tuple(sorted(stability.AVX2))}
