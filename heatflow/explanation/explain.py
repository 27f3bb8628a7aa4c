"""Explain the networks: maps of every method, what they follow, and whether the networks use structure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product
from typing import Any

import numpy as np
import pandas as pd

from heatflow.compute.mapping import map_in_order
from heatflow.compute.memory import keep_freed_memory
from heatflow.compute.task import OpeningTask
from heatflow.config.schema import Recipe, Saliency
from heatflow.evaluation.intervals import holm
from heatflow.explanation.ablation import Losses, measure_losses
from heatflow.explanation.association import associate_maps
from heatflow.explanation.attribution import TITLES, importance
from heatflow.explanation.dead_channels import dead_channels_of
from heatflow.explanation.distance_profile import distance_table
from heatflow.explanation.effect import structure_effect
from heatflow.explanation.explained_tiles import ExplainedTiles, TileFiles
from heatflow.explanation.known_features import CONTROLS, TESTED, FeatureScores, find_known_features
from heatflow.explanation.method_maps import MethodMaps, inputs_told_apart, make_maps, method_statistics, parts_of_maps
from heatflow.explanation.removal import Curves, removal_scores
from heatflow.explanation.sanity import (
    Removable,
    Weights,
    control_curves,
    find_removable,
    fit_shuffled,
    judge,
    measure_agreement,
    method_curves,
)
from heatflow.explanation.verdict import best_control, verdict
from heatflow.learning.training import reproducible

Item = tuple[Callable[..., Any], tuple[Any, ...]]  # a function of the tiles, and its other arguments: few, and small
MEMORY = 1.2e9  # bytes that a process takes
DISTANCES = np.arange(0, 21_000, 1_000)  # m, edges of the bins of distance to known features


OnMaps = Callable[[MethodMaps], object]


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
        `structure_effect` of the features that maps are tested on, or of range fronts where there are none.
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
    effects: dict[str, dict[str, Any]]
    verdict: dict[str, Any]
    dead_channels: dict[str, float]
    association: pd.DataFrame
    tile_association: pd.DataFrame
    distances: pd.DataFrame | None

    def metrics(self) -> dict[str, Any]:
        """What metrics/saliency.json holds."""
        names = ("verdict", "tiles", "methods", "controls", "effects", "dead_channels")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class ExplanationTask(OpeningTask):
    """Computes any item in whatever process; what else is computed there makes no difference.

    Parameters
    ----------
    open : callable
        Gives `ExplainedTiles`, such as `TileFiles`.
    """

    open: TileFiles

    def __call__(self, item: Item) -> Any:
        function, arguments = item
        keep_freed_memory()
        with reproducible(self.opened.seed):
            return function(self.opened, *arguments)


def explain(
    task: ExplanationTask, saliency: Saliency, recipe: Recipe, skill_low: float, *,
    on_drawn: OnMaps = lambda maps: None, on_maps: OnMaps = lambda maps: None,
    on_items: Callable[[int], object] = lambda n: None, on_done: Callable[[], object] = lambda: None,
) -> Explanation:  # fmt: skip
    """Maps of every method, their tests, their association with the terrain, and the verdict.

    Maps are made side by side and kept on disk, then tested side by side, method by method.

    Parameters
    ----------
    task : ExplanationTask
        The attributes of the sample are in the folder of its tiles; maps are kept there too.
    saliency : Saliency
    recipe : Recipe
        Of the networks.
    skill_low : float
        Lower end of the interval of the networks' AUC.
    on_drawn, on_maps : callable, optional
        Receive the maps of each method: the one before they are tested, without scores, the other after.
    on_items, on_done : callable, optional
        Receives the number of items whenever some begin; called when one is done.
    """
    tiles: ExplainedTiles = task.opened

    def side_by_side(items: list[Item]) -> Iterator[Any]:
        on_items(len(items))
        return map_in_order(task, items, memory=MEMORY, alone=tiles.networks.on_gpu, on_done=on_done)

    shuffled, removable = _draw(tiles, saliency, recipe, side_by_side, on_drawn)
    tested, controls, ablated = _features(find_known_features(tiles))
    results = side_by_side(_tests(tiles, saliency, shuffled, removable, ablated, tested, controls))
    curves = {name: next(results) for name in ("random", "slope")}
    block, compared = tiles.block[tiles.sample[removable.places]], dict(curves)
    scored = {name: next(results) for name in controls}
    of_controls = {name: scores.means for name, (scores, _) in scored.items()}
    distances = [scored[name][1] for name in ("slope", "edge") if tested]
    methods: dict[str, dict[str, Any]] = {}
    tables: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    for method in saliency.methods:
        agreed, curves[method], statistics, table = islice(results, 4)
        removal = removal_scores(curves[method], compared, block, tiles.seed)
        methods[method] = statistics | judge(agreed.scores(tiles.seed), removal)
        if tested:
            found, profile = next(results)
            methods[method][tested] = found.with_control(scored[best_control(of_controls)][0])
            distances.append(profile)
        tables.append(table)
        on_maps(MethodMaps.read(tiles, method, saliency, methods[method]))
    tables.insert(0, next(results))
    pooled, single = (pd.concat(each, ignore_index=True) for each in zip(*tables, strict=True))
    pooled["p_corrected"] = holm(pooled["p"].to_numpy())  # for the number of methods, attributes and groups
    effects = _effects({name: next(results) for name in ablated}, tiles.seed)
    dead = {f"relu_{k}": share for k, share in enumerate(np.mean([*results], axis=0).tolist(), start=1)}
    answer = verdict(skill_low, tested, methods, effects, of_controls)
    profiles = pd.concat(distances, ignore_index=True) if tested else None
    return Explanation(
        len(tiles.predictions), tested, methods, of_controls, curves, effects, answer, dead, pooled, single, profiles
    )


def _draw(
    tiles: ExplainedTiles,
    saliency: Saliency,
    recipe: Recipe,
    side_by_side: Callable[[list[Item]], Iterator[Any]],
    on_drawn: OnMaps,
) -> tuple[Weights | None, Removable]:
    """Make all maps, and write them; the results of `fit_shuffled` and `find_removable`, which wait for no map."""
    explained = dict.fromkeys([saliency.target, *(range(tiles.tile.n_classes) if saliency.per_class else ())])
    wanted = [(method, of, 0) for method, of in product(saliency.methods, explained)]
    for method in saliency.methods:
        wanted += [(method, saliency.target, channel) for channel, _ in inputs_told_apart(tiles, method)]
    parts = [*product(parts_of_maps(tiles), wanted)]
    items: list[Item] = [(fit_shuffled, (recipe,))] if saliency.shuffled else []
    items.append((find_removable, (saliency.target,)))
    for index, (method, of, channel) in parts:
        items.append((make_maps, (index, method, of, saliency.smooth_shifts, channel)))
    made = side_by_side(items)
    shuffled, removable = next(made) if saliency.shuffled else None, next(made)
    for (index, which), maps in zip(parts, made, strict=True):
        tiles.maps(*which)[index] = maps
    for method in saliency.methods:
        on_drawn(MethodMaps.read(tiles, method, saliency, {}))
    return shuffled, removable


def _tests(
    tiles: ExplainedTiles, saliency: Saliency, shuffled: Weights | None, removable: Removable, ablated: list[str],
    tested: str | None, controls: list[str],
) -> list[Item]:  # fmt: skip
    """What is tested, in the order in which `explain` takes the results."""
    shifts, draws, target = saliency.smooth_shifts, saliency.draws, saliency.target
    items: list[Item] = [(control_curves, (target, removable, control)) for control in ("random", "slope")]
    items += [(score, (tested, control)) for control in controls]
    for method in saliency.methods:
        items += [(measure_agreement, (method, target, shuffled)), (method_curves, (target, removable, method))]
        items += [(method_statistics, (method, target, shifts)), (associate_maps, (draws, method, target))]
        items += [(score, (tested, method, target, shifts))] if tested else []
    items += [(associate_maps, (draws, "edge_detector"))]
    items += [(losses_of, (name, name != "lookalikes")) for name in ablated]
    return [*items, *((dead_channels_of, (fold,)) for fold in np.unique(tiles.networks.data.test_fold).tolist())]


def _features(known: Iterable[str]) -> tuple[str | None, list[str], list[str]]:
    """Known features that maps are tested on, maps that need no network, and features that are ablated."""
    tested = next((name for name in TESTED if name in known), None)
    wanted = {"structures": ("structures", "lookalikes"), "faults": ("faults",), None: ("range_front",)}[tested]
    return tested, ["random", *CONTROLS] if tested else [], [name for name in wanted if name in known]


def _effects(losses: dict[str, Losses], seed: int) -> dict[str, dict[str, Any]]:
    """`structure_effect` of the features that were ablated; look-alikes are the controls of structures."""
    controls = losses.pop("lookalikes", None)
    return {name: structure_effect(of, controls, seed) for name, of in losses.items()}


def score(
    tiles: ExplainedTiles, name: str, maps_of: str, explained: str | int = "high", shifts: int = 1
) -> tuple[FeatureScores, pd.DataFrame]:
    """Scores on known features, of a method's maps of the log-odds or of a control, and strength by distance to these.

    Parameters
    ----------
    tiles : ExplainedTiles
    name : str
        Of the features.
    maps_of : str
        A method, or the name of a control.
    explained : str or int, optional
        What the maps on disk are of.
    shifts : int, optional
        Of maps that are not on disk.
    """
    known = _known(tiles)[name]
    if maps_of in TITLES:
        if explained == "high":
            maps = tiles.maps(maps_of, explained)[known.index]
        else:
            maps = make_maps(tiles, known.index, maps_of, "high", shifts)
        ranked, strength = importance(maps_of, maps), np.abs(maps)
    else:
        ranked = strength = known.control(maps_of)
    table = distance_table(maps_of, strength, known.distance, DISTANCES, tiles.groups(known.index))
    return known.score(ranked, tiles.predicted_high[known.index]), table


def losses_of(tiles: ExplainedTiles, name: str, others: bool) -> Losses:
    """`measure_losses` of a kind of known features."""
    return measure_losses(_known(tiles)[name], tiles.networks, others)


_known = lru_cache(maxsize=1)(find_known_features)  # a process looks for them once
