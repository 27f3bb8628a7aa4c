"""The table of the report's experiments: paired differences, names that change with the code, no paths of a machine."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import ablation
from heatflow.config.load import load
from heatflow.config.schema import Params
from tests.docs.numbers import staged
from tests.helpers import params_with


def run_of(predicted, label, tiles, **changes):
    p = np.full((len(label), 4), 0.1)
    p[np.arange(len(label)), predicted] = 0.7
    table = pd.DataFrame(p, columns=[f"p{k}" for k in range(4)], index=pd.Index(tiles, name="tile"))
    row, col = np.divmod(np.asarray(tiles), 20)
    predictions, params = (
        table.assign(label=label, row=row, col=col, fold=row // 4, n_wells=1),
        Params.model_validate(params_with(**changes)),
    )
    seeds = pd.DataFrame({"accuracy": [0.5, 0.5], "auc_high": [0.5, 0.5]})
    return ablation.Result(evaluation={}, train={}, predictions=predictions, seeds=seeds, params=params)


def test_differences_are_taken_on_the_tiles_that_both_runs_have():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 4, 400)
    knows = run_of(label, label, np.arange(400))
    guesses = run_of(rng.integers(0, 4, 300), label[100:], np.arange(100, 400))
    more = ablation._difference(knows, guesses)
    right = np.mean(guesses.predictions[["p0", "p1", "p2", "p3"]].to_numpy().argmax(axis=1) == label[100:])
    assert more["accuracy_more"] == pytest.approx(1 - right)
    assert more["accuracy_more_low"] < more["accuracy_more"] < more["accuracy_more_high"]
    assert more["auc_high_more_low"] > 0.3
    assert ablation._change(more, "accuracy_more", 100).endswith("better")
    same = ablation._difference(knows, knows)
    assert ablation._change(same, "accuracy_more", 100) == "+0.0 (+0.0 to +0.0), within noise"


def test_a_difference_that_the_luck_of_training_explains_is_within_noise():
    label = np.random.default_rng(0).integers(0, 4, 400)
    right = np.where(np.arange(400) % 20 < 2, (label + 1) % 4, label)
    one, other = run_of(label, label, np.arange(400)), run_of(right, label, np.arange(400))
    sure = ablation._difference(one, other)
    assert ablation._change(sure, "accuracy_more", 100).endswith("better")
    one.seeds["accuracy"], other.seeds["accuracy"] = [0.8, 1.0], [0.7, 0.9]
    lucky = ablation._difference(one, other)
    assert lucky["accuracy_more"] == sure["accuracy_more"] == pytest.approx(0.1)
    assert lucky["accuracy_more_high"] - lucky["accuracy_more_low"] > 0.3  # four errors of a mean of two, 0.1 each
    assert ablation._change(lucky, "accuracy_more", 100).endswith("within noise")


def test_the_page_has_a_row_for_each_baseline_of_an_evaluation():
    label = np.zeros(4, dtype=int)
    result = run_of(label, label, np.arange(4))
    evaluation = staged("metrics/evaluation.json")
    lines = ablation._baselines(dataclasses.replace(result, evaluation=evaluation))
    (row,) = (line for line in lines if line.startswith("| count"))
    auc = evaluation["baseline"]["count"]
    assert [cell.strip() for cell in row.split("|")][2:4] == [f"{auc['auc_high']:.3f}", f"{auc['site_auc']:.3f}"]
    assert len(lines) == 5 + len(evaluation["baseline"])


def test_every_row_is_a_change_that_params_allow(tmp_path):
    for name, row in ablation.ROWS.items():
        content = params_with()
        for change in row.changes:
            key, _, value = change.partition("=")
            section, _, field = key.partition(".")
            assert field in content[section], name
            content[section][field] = yaml.safe_load(value)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        load(tmp_path / "params.yaml", ())
        assert row.against == "" or row.against in ablation.ROWS


def test_names_tell_runs_apart_and_tables_name_no_folder():
    one = ablation._experiment("demo", "plain", [])
    assert one == ablation._experiment("demo", "plain", [])
    assert one != ablation._experiment("demo", "plain", ["train.seed=2"])
    assert ablation._without_folder("data.elevation=/somewhere/dem.tif") == "data.elevation=dem.tif"
    assert ablation._without_folder("train.seed=2") == "train.seed=2"
