"""Measures of the house, which `make house` prints and tests/test_house.py holds.

Lines of stages, long functions, annotations, lines of code, and places that repeat each other: python -m tests.house
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("heatflow", "stages", "benchmarks")
STAGE_LINES, ALL_STAGES, FUNCTION_LINES, SAME_LINES = 80, 800, 60, 12
AGREED = {  # lines of code, by what they are for
    "what version 0.1 can do": 7_600,
    "computing side by side": 600,
    "sites, evaluation that holds, baselines": 720,
    "matched controls in the demo, and their measurement": 185,
    "stability of conclusions, skill over regions": 220,
    "sites that teach the network, and its compact layout": 210,
    "pooling by log-mean-exp, margins of tiles, training without validation, recall of each class": 120,
    "the model bundle, the prediction of another region, where to drill": 930,
    "work side by side within a stage": 60,
    "what a newcomer meets: QGIS project, first screen of the report, tutorial": 420,
    "prediction sets of sites": 190,
    "known sites near a place: kriging, its measurement, its map": 190,
    "the verdict's effect with its null, and its error rates": 360,
    "the Great Basin by one command, sections of benchmarks by themselves": 90,
    "several inputs of networks: the regional trend, layers": 240,
    "the class of a tile by its sites": 110,
    "sites of overlapping tiles, wells refused before the map, runs on several processors": 35,
    "abuse of predictions, limits of disk and memory, what known structures tell": 725,
}
CODE_LINES = sum(AGREED.values())
# functions that may be longer, with the reason; at most five, none in stages/
LONG: dict[str, str] = {}
_SILENT = (
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
)  # fmt: skip
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*rooms: str) -> list[Path]:
    """Python files of rooms, in order."""
    return sorted(chain.from_iterable((ROOT / room).rglob("*.py") for room in rooms))


def stage_lines() -> dict[str, int]:
    """Physical lines of each file of stages/."""
    return {_name(path): len(path.read_text().splitlines()) for path in modules("stages")}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions() -> Iterator[tuple[str, Function]]:
    """Every function of the rooms, with its name such as ``stages/tile.py:main``."""
    for path in modules(*ROOMS):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{_name(path)}:{node.name}", node


def long_functions() -> dict[str, int]:
    """Functions over FUNCTION_LINES lines, signature and docstring included."""
    lengths = {name: (node.end_lineno or node.lineno) - node.lineno + 1 for name, node in functions()}
    return {name: length for name, length in lengths.items() if length > FUNCTION_LINES}


def without_annotations() -> list[str]:
    """Functions with an argument or a result that has no type."""
    return [name for name, node in functions() if not _annotated(node)]


def _annotated(node: Function) -> bool:
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(arg for arg in (a.vararg, a.kwarg) if arg)]
    return node.returns is not None and all(arg.annotation or arg.arg in ("self", "cls") for arg in arguments)


def code_lines() -> dict[str, int]:
    """Lines of each file of the rooms that are no docstring, comment or blank.

    A text that stands alone in a class documents the attribute above it, and is a docstring too.
    """
    return {_name(path): code_in(path.read_text()) for path in modules(*ROOMS)}


def code_in(source: str) -> int:
    """Lines of a module that are no docstring, comment or blank."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SILENT:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED):
            for text in node.body if isinstance(node, ast.ClassDef) else node.body[:1]:
                if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                    lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return len(lines)


def repetitions() -> list[str]:
    """Pairs of places with the same SAME_LINES lines; blank lines, comments and imports are passed over."""
    places: dict[tuple[str, ...], tuple[Path, int]] = {}
    pairs: dict[tuple[Path, Path, int], str] = {}
    for path in modules(*ROOMS):
        lines = [(n, text) for n, line in enumerate(path.read_text().splitlines(), 1) if _counts(text := line.strip())]
        for k in range(len(lines) - SAME_LINES + 1):
            key = tuple(text for _, text in lines[k : k + SAME_LINES])
            first, line = places.setdefault(key, (path, lines[k][0]))
            if (first, line) != (path, lines[k][0]):  # one pair for each run of lines that both share
                where = f"{_name(first)}:{line} and {_name(path)}:{lines[k][0]}"
                pairs.setdefault((first, path, lines[k][0] - line), where)
    return [*pairs.values()]


def _counts(line: str) -> bool:
    return bool(line) and not line.startswith(("#", "import ", "from "))


def faults() -> list[str]:
    """What does not hold, a line each; empty where all does."""
    stages, long = stage_lines(), long_functions()
    wrong = [f"{name}: {n} lines, at most {STAGE_LINES}" for name, n in stages.items() if n > STAGE_LINES]
    if sum(stages.values()) > ALL_STAGES:
        wrong.append(f"stages/: {sum(stages.values())} lines, at most {ALL_STAGES}")
    wrong += [
        f"{name}: {n} lines, at most {FUNCTION_LINES}"
        for name, n in long.items()
        if name not in LONG or name.startswith("stages/")
    ]
    wrong += [f"{name}: is not longer than {FUNCTION_LINES} lines; take it off LONG" for name in set(LONG) - set(long)]
    if len(LONG) > 5:
        wrong.append(f"{len(LONG)} functions in LONG, at most 5")
    wrong += [f"{name}: without full annotations" for name in without_annotations()]
    if (total := sum(code_lines().values())) > CODE_LINES:
        wrong.append(f"{total:,} lines of code, at most {CODE_LINES:,}")
    return [*wrong, *(f"{pair}: the same {SAME_LINES} lines" for pair in repetitions())]


def table() -> str:
    """The measures, a line each."""
    stages, code, long = stage_lines(), code_lines(), long_functions()
    longest = max(stages, key=lambda name: stages[name])
    in_rooms = ", ".join(f"{room} {sum(n for name, n in code.items() if name.startswith(room)):,}" for room in ROOMS)
    return "\n".join(
        [
            f"lines of stages/                {sum(stages.values()):,} (<= {ALL_STAGES})",
            f"longest stage                   {stages[longest]} (<= {STAGE_LINES}): {longest}",
            f"functions over {FUNCTION_LINES} lines         {len(long)} (<= 5): {', '.join(long) or 'none'}",
            f"without full annotations        {len(without_annotations())} (0)",
            f"lines of code                   {sum(code.values()):,} (<= {CODE_LINES:,}): {in_rooms}",
            f"pairs with the same {SAME_LINES} lines    {len(repetitions())} (0)",
        ]
    )


if __name__ == "__main__":
    print(table())
    print("\n".join(problems := faults()))
    sys.exit(bool(problems))
