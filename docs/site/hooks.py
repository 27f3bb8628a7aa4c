"""What the site of MkDocs consists of: pages where they lie in the repository, the notebook, and docstrings."""

import ast
import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("*.md", "docs/*.md", "data/README.md", "metrics/README.md", "benchmarks/*.md")
BESIDE = (  # what pages link to or show
    "metrics/saliency/*.png", "metrics/map.png", "benchmarks/*.png", "benchmarks/*.csv", "params.yaml",
    "heatflow/config/schema.py", "CITATION.cff", "docs/tutorial.ipynb",
)  # fmt: skip
ROOMS = {  # folders of the library, by title
    "Grids": "grid", "Files": "io", "Typed params": "config", "Computing side by side": "compute",
    "Terrain, wells, tiles": "geo", "Networks": "learning", "Evaluation": "evaluation", "Explanation": "explanation",
    "Prediction": "prediction", "Figures and the report": "present", "Demo": "demo",
}  # fmt: skip


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add a page of the reference for each room."""
    reference = next(part["Reference"] for part in config.nav or [] if isinstance(part, dict) and "Reference" in part)
    reference += [
        {"Library": "reference/index.md"},
        *({title: f"reference/{name}.md"} for title, name in ROOMS.items()),
    ]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take pages and what they link to from where they are."""
    found = [path for pattern in (*PAGES, *BESIDE) for path in sorted(ROOT.glob(pattern))]
    for path in dict.fromkeys(found):
        files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    notebook = json.loads((ROOT / "docs/tutorial.ipynb").read_text(encoding="utf-8"))
    files.append(File.generated(config, "docs/tutorial.md", content=as_page(notebook)))
    files.append(File.generated(config, "reference/index.md", content=library()))
    for title, name in ROOMS.items():
        files.append(File.generated(config, f"reference/{name}.md", content=room(title, name)))
    return files


def as_page(notebook: dict[str, Any]) -> str:
    """A notebook without outputs as Markdown."""
    cells = ((cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"])
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells) + "\n"


def library() -> str:
    """The first page of the reference."""
    entries = "\n\n".join(f"::: heatflow.{name}" for name in ("run", "sources", "errors"))
    return f"# Library\n\n{ast.get_docstring(_parsed(ROOT / 'heatflow/__init__.py'))}\n\n{entries}\n"


def room(title: str, name: str) -> str:
    """A page with the docstrings of all modules of a folder; those of messages are for stages alone."""
    modules = sorted(path for path in (ROOT / "heatflow" / name).glob("*.py") if path.name != "__init__.py")
    entries = (f"::: heatflow.{name}.{path.stem}" for path in modules)
    return (
        f"# {title}\n\n`heatflow.{name}`: {ast.get_docstring(_parsed(ROOT / 'heatflow' / name / '__init__.py'))}\n\n"
        + ("\n\n".join(entries) + "\n")
    )


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
