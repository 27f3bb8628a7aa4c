"""What the saliency stage says."""

import numpy as np

from heatflow.explanation.attribution import TITLES
from heatflow.explanation.explain import Explanation


def explanation_warnings(explanation: Explanation) -> list[str]:
    """Failed tests of each method, maps that are zero, and dead channels."""
    dead = explanation.dead_channels.values()
    lines = [f"share of dead channels, ReLU by ReLU: {', '.join(f'{k:.0%}' for k in dead)}"] if any(dead) else []
    for method, scores in explanation.methods.items():
        zero = [f"{scores['all_zero_maps']} maps are zero everywhere"] if scores["all_zero_maps"] else []
        lines += [f"{TITLES[method]}: {line}" for line in zero + scores["warnings"]]
    return lines


def explanation_lines(explanation: Explanation) -> list[str]:
    """Methods that pass, ablation effects and the verdict."""
    methods = explanation.methods
    passed = [TITLES[method] for method, scores in methods.items() if scores["passed"]]
    effects = [
        f"{name.replace('_', ' ')} {effect['lost']:+.3f} ({effect['lost_elsewhere']:+.3f})"
        for name, effect in explanation.effects.items()
        if np.isfinite(effect["lost"])
    ]
    lines = [f"{len(passed)} of {len(methods)} methods pass their sanity checks: {', '.join(passed) or 'none'}"]
    if effects:
        words = "log-odds lost without features (without equally steep terrain elsewhere)"
        lines.append(f"{words}: {', '.join(effects)}")
    return [*lines, f"structure: {explanation.verdict['answer']}"]
