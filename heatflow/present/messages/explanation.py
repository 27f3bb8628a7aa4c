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
    lines = [f"{len(passed)} of {len(methods)} methods pass their sanity checks: {', '.join(passed) or 'none'}"]
    for name, effect in explanation.effects.items():
        if np.isfinite(effect["lost"]):
            lines.append(
                f"log-odds lost without {name.replace('_', ' ')}, in standard deviations: {effect['lost']:+.3f}; "
                f"beyond {effect['control']} {effect['effect']:+.3f} ({effect['effect_low']:+.3f} to "
                f"{effect['effect_high']:+.3f}), p = {effect['p']:.2g}"
            )
    return [*lines, f"structure: {explanation.verdict['answer']}"]
