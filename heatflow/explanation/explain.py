"""Explain the networks: maps of every method, what they follow, and whether the networks use structure."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from heatflow.config.schema import Saliency
from heatflow.explanation.ablation import ablation_effect
from heatflow.explanation.association import Association
from heatflow.explanation.dead_channels import mean_dead_channels
from heatflow.explanation.distance_profile import distance_table
from heatflow.explanation.explained_tiles import ExplainedTiles
from heatflow.explanation.known_features import find_known_features
from heatflow.explanation.method_maps import MethodMaps, explain_method
from heatflow.explanation.removal import Curves
from heatflow.explanation.sanity import SanityChecks
from heatflow.explanation.verdict import verdict

DISTANCES = np.arange(0, 21_000, 1_000)  # m, edges of the bins of distance to known features


@dataclass(frozen=True)
class Explanation:
    """What the maps of all methods scored, and what the networks use.

    Parameters
    ----------
    tiles : int
    feature : str or None
        The known features that the maps are tested on; None where there are none.
    methods : dict of str to dict
        Scores of each method, see `MethodMaps`.
    controls : dict of str to dict
        Scores of maps that need no network, on the known features.
    curves : dict of str to Curves
        Deletion and insertion of each control and method.
    effects : dict of str to dict
        `ablation_effect` of each kind of known features.
    verdict : dict
        See `heatflow.explanation.verdict`.
    dead_channels : dict of str to float
        Share of dead channels of each ReLU.
    association, tile_association : DataFrame
        Association of maps with attributes, pooled and tile by tile.
    distances : DataFrame or None
        Strength of maps by distance to the known features.
    """

    tiles: int
    feature: str | None
    methods: dict[str, dict[str, Any]]
    controls: dict[str, dict[str, float]]
    curves: dict[str, Curves]
    effects: dict[str, dict[str, float]]
    verdict: dict[str, Any]
    dead_channels: dict[str, float]
    association: pd.DataFrame
    tile_association: pd.DataFrame
    distances: pd.DataFrame | None

    def metrics(self) -> dict[str, Any]:
        """What metrics/saliency.json holds."""
        names = ("verdict", "tiles", "methods", "controls", "effects", "dead_channels")
        return {name: getattr(self, name) for name in names}


def explain(
    tiles: ExplainedTiles, saliency: Saliency, skill_low: float, *,
    on_maps: Callable[[MethodMaps], object] = lambda maps: None, on_tiles: Callable[[int], object] = lambda n: None,
) -> Explanation:  # fmt: skip
    """Maps of every method, their tests, their association with the terrain, and the verdict.

    Parameters
    ----------
    tiles : ExplainedTiles
    saliency : Saliency
    skill_low : float
        Lower end of the interval of the networks' AUC.
    on_maps : callable, optional
        Receives the maps of each method, in a thread, while those of the next are computed: the maps of all methods are
        never in memory at once.
    on_tiles : callable, optional
        Receives numbers of tiles of which a method has made maps.
    """
    known = find_known_features(tiles)
    tested = next((features for name, features in known.items() if name != "range_front"), None)
    controls, strengths = {}, {}
    if tested:
        high = tiles.predicted_high[tested.index]
        controls = {name: tested.score(maps, high) for name, maps in tested.controls().items()}
        strengths = {name: tested.attributes[name] for name in ("slope", "edge")}
    checks, association = SanityChecks(tiles), Association(tiles, saliency.draws)
    methods: dict[str, dict[str, Any]] = {}
    curves = dict(checks.controls)

    def finish(maps: MethodMaps) -> tuple[pd.DataFrame, pd.DataFrame]:
        on_maps(maps)
        return association.of_maps(maps.method, maps.maps[tiles.sample])

    with ThreadPoolExecutor(1) as beside:
        jobs = [beside.submit(association.of_maps, "edge_detector", tiles.attributes["edge"])]
        for method in saliency.methods:
            maps, curves[method], strength = explain_method(method, tiles, saliency, checks, tested, on_tiles)
            methods[method] = maps.scores
            strengths |= strength
            jobs[-1].result()  # at most one method is written while the next is computed
            jobs.append(beside.submit(finish, maps))
        tables = zip(*(job.result() for job in jobs), strict=True)
        pooled, single = (pd.concat(each, ignore_index=True) for each in tables)
    effects = {name: ablation_effect(features, tiles.networks) for name, features in known.items()}
    feature, distances = None, None
    if tested:
        feature, groups = tested.name, tiles.groups(tested.index)
        distances = distance_table(strengths, tested.distance, DISTANCES, groups)
    answer, dead = verdict(skill_low, feature, methods, effects, controls), mean_dead_channels(tiles.networks)
    return Explanation(
        len(tiles.predictions), feature, methods, controls, curves, effects, answer, dead, pooled, single, distances
    )
