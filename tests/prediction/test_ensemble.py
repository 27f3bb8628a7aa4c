"""Each window is predicted by the networks that were not trained on it."""

import numpy as np
import pytest

SIZE = 20
LEVEL = 50.0
OWN = [1 / (1 + np.exp(-2 * (LEVEL / 100 + shift))) for shift in (0.0, 0.3)]  # of the network of each fold


def test_no_network_predicts_what_it_was_trained_on(make_ensemble):
    ensemble = make_ensemble()
    eligible = ensemble.eligible(np.array([0, 0, 20, 5]), np.array([0, 60, 25, 55]))
    table = ensemble.predict(np.full((4, 1, ensemble.tile.edge, ensemble.tile.edge), LEVEL, dtype=np.float32), eligible)
    assert table["networks"].tolist() == [1, 1, 2, 1]
    np.testing.assert_allclose(table["p1"], [OWN[1], OWN[0], np.mean(OWN), OWN[0]], rtol=1e-5)  # the last: half a tile
    assert table["disagreement"].isna().tolist() == [True, True, False, True]
    assert table["disagreement"][2] == pytest.approx(np.std(OWN), rel=1e-5)


def test_no_fold_is_eligible_where_all_were_trained(make_ensemble):
    assert not make_ensemble(folds=1).eligible(np.array([0]), np.array([0])).any()


def test_a_window_that_holds_a_training_well_is_not_predicted_by_its_fold(make_ensemble):
    ensemble = make_ensemble(wells=(np.array([25]), np.array([44])))
    eligible = ensemble.eligible(np.array([20, 20, 26]), np.array([25, 24, 25]))
    assert eligible.sum(axis=0).tolist() == [1, 2, 2]  # columns 25 to 44 hold it, 24 to 43 do not, rows from 26 neither
