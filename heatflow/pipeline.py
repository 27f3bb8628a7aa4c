"""What each stage of dvc.yaml depends on, from its imports: ``make dvc`` writes it, a test holds the file to it.

A dependency is whatever can change an output. Plumbing cannot: what a param may be and what it means, what a message
says, how progress is shown, where something is computed. It is no dependency, so that rewording a message never trains
a network again.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from heatflow.io.atomic import replacing

PLUMBING = (
    "heatflow/errors.py", "heatflow/pipeline.py", "heatflow/compute", "heatflow/config/load.py",
    "heatflow/config/schema.py", "heatflow/present/messages", "stages/_runner.py",
)  # fmt: skip
RULES = "heatflow/config/derived.py"  # what follows from params: reached through plumbing, and used by every stage
RESOURCES = {  # code that is no Python, by the module that reads it
    "heatflow/present/report.py": "heatflow/present/page", "heatflow/present/qgis.py": "heatflow/present/style.qml",
    "heatflow/present/model_card.py": "heatflow/present/model_card.md",
    "heatflow/present/qgis_project.py": "heatflow/present/project",
}  # fmt: skip
PACKAGES = ("heatflow", "stages")
SEVERAL_FILES = ("data.layers",)  # params that name any number of files: DVC takes no list of them as dependencies


def imported(path: Path, root: Path) -> set[Path]:
    """Files of the project that a file imports, from its source.

    Parameters
    ----------
    path : Path
        Of a Python file.
    root : Path
        Top folder of the project.
    """
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    modules = (root.joinpath(*name.split(".")) for name in names if name.partition(".")[0] in PACKAGES)
    files = (file for module in modules for file in (module.with_suffix(".py"), module / "__init__.py"))
    return {file for file in files if file.exists()}


def closure(path: Path, root: Path) -> set[str]:
    """Files of the project that a file imports, itself or through others, and the file itself; plumbing is not entered.

    Returns
    -------
    set of str
        Paths from the top folder. Packages' own files are left out: they decide nothing of what is written.
    """
    seen: set[Path] = set()
    todo = {path}
    while todo:
        seen |= todo
        todo = set().union(*(imported(file, root) for file in todo if not _is_plumbing(file, root))) - seen
    files = {file for file in seen if file.name != "__init__.py" and not _is_plumbing(file, root)}
    return {str(file.relative_to(root)) for file in files}


def _is_plumbing(path: Path, root: Path) -> bool:
    return str(path.relative_to(root)).startswith(PLUMBING)


def code_of(path: Path, root: Path) -> list[str]:
    """Code that decides what a stage writes.

    Parameters
    ----------
    path : Path
        Module of the stage.
    root : Path
        Top folder of the project.

    Returns
    -------
    list of str
        Paths from the top folder, in order.
    """
    files = closure(path, root) | {RULES}
    return sorted(files | {resource for module, resource in RESOURCES.items() if module in files})


def dependencies(name: str, root: Path) -> list[str]:
    """The ``deps`` of a stage: its code, the files that params name, and the outputs of earlier stages."""
    module = importlib.import_module(f"stages.{name}")
    files = (param for param in module.PARAMS if param.startswith("data.") and param not in SEVERAL_FILES)
    named = [f"${{{param}}}" for param in files]
    inputs = [str(path) for path in getattr(module, "INPUTS", ())]
    return [*code_of(root / "stages" / f"{name}.py", root), *named, *inputs]


def with_dependencies(pipeline: dict[str, Any], root: Path) -> dict[str, Any]:
    """A parsed dvc.yaml with the ``deps`` of every stage as they should be."""
    for name, stage in pipeline["stages"].items():
        stage["deps"] = dependencies(name, root)
    return pipeline


def write_dependencies(path: Path) -> None:
    """Write the ``deps`` of every stage into a dvc.yaml; the rest of it stays as it is."""
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width, yaml.preserve_quotes = 4096, True
    pipeline = with_dependencies(yaml.load(path.read_text(encoding="utf-8")), path.resolve().parent)
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        yaml.dump(pipeline, file)


if __name__ == "__main__":
    write_dependencies(Path("dvc.yaml"))
