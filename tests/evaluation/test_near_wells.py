"""Near wells: known residuals help where they are alike nearby, and change nothing where they are not."""

import numpy as np
import pytest

from heatflow.evaluation.near_wells import FEWEST, KNOWN, near_wells_table, predict_near_wells
from heatflow.present.messages.evaluation import near_lines

SIDE = 30


@pytest.fixture(scope="module")
def sites():
    """Sites 3 km apart, in blocks of 30 km, hot in patches of 12 km that no terrain shows."""
    row, col = (place.ravel() for place in np.mgrid[:SIDE, :SIDE])
    rng = np.random.default_rng(0)
    patch = np.repeat(np.repeat(rng.random((SIDE // 3 + 1,) * 2) > 0.5, 4, axis=0), 4, axis=1)[row, col]
    block = (row // 10) * 3 + col // 10
    return {
        "place": np.column_stack([row, col]) * 3e3, "patch": patch, "tile": np.arange(SIDE**2) // 2,
        "block": block * 10 + (row % 10 > 4) * 2 + (col % 10 > 4), "fold": block % 3,
    }  # fmt: skip


def test_heat_that_terrain_does_not_show_is_found_from_the_wells_around(sites):
    half = np.full(SIDE**2, 0.5)
    found = predict_near_wells(sites["patch"], half, sites["place"], sites["fold"])
    right = {name: np.mean((p > 0.5) == sites["patch"]) for name, p in found.items()}
    assert right[KNOWN[1]] > 0.8
    assert right[KNOWN[1]] > right[KNOWN[0]] + 0.15  # most are far from other folds
    everywhere = predict_near_wells(sites["patch"], half, sites["place"], np.zeros(SIDE**2))
    np.testing.assert_array_equal(everywhere[KNOWN[0]], half)  # nothing is known


def test_a_site_does_not_tell_of_itself(sites):
    """Where neighbours are independent, knowing the others is of no use."""
    high = np.random.default_rng(1).random(SIDE**2) > 0.5
    found = predict_near_wells(high, np.full(SIDE**2, 0.5), sites["place"], sites["fold"])
    assert np.mean((found[KNOWN[1]] > 0.5) == high) == pytest.approx(0.5, abs=0.06)


def test_the_table_compares_network_wells_and_both(sites):
    rng = np.random.default_rng(2)
    shown = rng.random(SIDE**2) > 0.5  # by terrain, independently of the patches
    high, p_high = sites["patch"] | shown, np.where(shown, 0.95, 0.5)
    table = near_wells_table(high, p_high, *(sites[k] for k in ("place", "tile", "fold", "block")), seed=0)
    near = table[table["known"] == KNOWN[1]].set_index("km")
    assert near.loc["all", "sites"] == near.drop("all")["sites"].sum() == SIDE**2
    assert near.index.tolist() == ["all", "2 to 5"]
    assert near.loc["all", "both"] > max(near.loc["all", "network"], near.loc["all", "wells"])
    assert near.loc["all", "gain_low"] > 0
    assert near.loc["all", "gain"] == pytest.approx(near.loc["all", "both"] - near.loc["all", "network"])
    assert near.loc["all", "brier_both"] < near.loc["all", "brier_network"]
    far = table[table["known"] == KNOWN[0]].set_index("km")
    assert far.drop("all")["sites"].sum() == SIDE**2
    (line,) = near_lines(table, "near.csv")
    assert line.startswith(
        "AUC of sites, the network alone -> with the residuals of known sites that near: 2 to 5 km 0."
    )


def test_a_distance_with_few_sites_has_no_row(sites):
    few = {name: of[: FEWEST - 1] for name, of in sites.items()}
    table = near_wells_table(few["patch"], few["patch"] * 0.5, *(few[k] for k in ("place", "tile", "fold", "block")), 0)
    assert set(table["km"]) == {"all"}
    assert list(near_lines(table, "near.csv")) == []
