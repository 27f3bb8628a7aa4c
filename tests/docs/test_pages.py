"""Pages name only what exists: files, params, metrics, modules, functions, targets of make, messages."""

import ast
import errno
import json
import os
import re
from pathlib import Path

import pytest
import yaml

import stages._paths
from heatflow.config.load import load
from heatflow.config.reference import page
from heatflow.config.schema import Params, Section
from tests.helpers import NEAR_WELLS, PREDICTED, ROOT, params_with

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *(ROOT / folder / "README.md" for folder in ("data", "metrics")),
    *sorted((ROOT / "docs").glob("*.md")),
]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
CODE = [path for folder in ("heatflow", "stages", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
OUTPUTS = {
    out if isinstance(out, str) else next(iter(out))
    for stage in STAGES.values()
    for kind in ("outs", "plots", "metrics")
    for out in stage.get(kind, [])
} | {str(path) for path in vars(stages._paths).values() if isinstance(path, Path)}
ENDINGS = "py|md|json|csv|png|tif|fgb|npy|html|yaml|qml|qgs|toml|lock|pt"
FILE = re.compile(rf"[\w.<>*-]+(/[\w.<>*-]*)+|[\w*-]+\.({ENDINGS})")
ABSENT = {"optimism_gap", "lattice_share_before", "lattice_share_after", "between_seeds"}  # by default
UNITS = ("mW/m2", "W/m2")
BUNDLED = {"bundle.json", "bundle.dvc"}  # of another repository


def code_spans(text):
    """What stands between single backticks, outside of blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def texts(tree):
    """Strings of a module; of f-strings the fixed parts, with a gap for each value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


TREES = [ast.parse(path.read_text()) for path in CODE]
STRINGS = [text for tree in TREES for text in texts(tree)]


def names():
    """Every name in the code, every word of its strings, every key of the metrics and every column of their tables."""
    found = {word for text in STRINGS for word in re.findall(r"\w+", text)}
    for tree in TREES:
        for node in ast.walk(tree):
            found |= {
                getattr(node, key) for key in ("name", "id", "attr", "arg") if isinstance(getattr(node, key, 0), str)
            }
    return found | {
        key for path in (ROOT / "metrics").iterdir() if path.suffix in (".json", ".csv") for key in keys(path)
    }


def keys(path):
    """Keys of a file of metrics, at any depth, or columns of a table."""
    if path.suffix == ".csv":
        return set(path.read_text().partition("\n")[0].split(","))
    found = set()
    json.loads(path.read_text(), object_hook=lambda part: found.update(part))
    return found


def dvc_keys(part):
    """Keys of a parsed YAML document, at any depth."""
    if isinstance(part, list):
        return set().union(*map(dvc_keys, part))
    return set(part).union(*map(dvc_keys, part.values())) if isinstance(part, dict) else set()


KNOWN = names() | ABSENT | dvc_keys(PIPELINE) | set(re.findall(r"\w+", (ROOT / "pyproject.toml").read_text()))
COMPOSED = [  # names such as residual_p90, made of a fixed part and one that is filled in
    re.compile(text.replace("\0", "[a-z0-9]+"))
    for text in STRINGS
    if re.fullmatch("(?=.*[a-z]{3})[a-z_\0]*\0[a-z_\0]*", text)
]


def file_exists(name, folder):
    """Whether a file is in the repository, or is written by a stage; `<...>` stands for anything."""
    pattern = re.sub(r"<[^>]*>", "*", name).rstrip("/")
    if any(list(base.glob(pattern)) for base in (ROOT, folder)):
        return True
    relative = folder.name in ("data", "metrics") and not pattern.startswith(("data/", "metrics/"))
    whole = f"{folder.name}/{pattern}" if relative else pattern
    table = (ROOT / "data/README.md").read_text()
    return (
        whole in OUTPUTS | PREDICTED | NEAR_WELLS | BUNDLED
        or any(whole.startswith(f"{out}/") and f"`{name.removeprefix('data/')}`" in table for out in OUTPUTS)
        or any(out.startswith(f"{whole}/") for out in OUTPUTS)
    )


def param_exists(name):
    """Whether params have a section or a field of this name, such as ``wells.background.radius``."""
    part = Params()
    for key in name.split("."):
        if not isinstance(part, Section) or key not in type(part).model_fields:
            return False
        part = getattr(part, key)
    return True


def object_exists(name):
    """Whether a dotted name is that of a module, or of something that one defines; nothing is imported."""
    words = name.split(".")
    for n in range(len(words), 0, -1):
        path = ROOT.joinpath(*words[:n])
        file = next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.exists()), None)
        if file:
            return _defines(ast.parse(file.read_text()).body, words[n:])
    return False


def _defines(body, words):
    """Whether statements bind the first word, and what it is bound to the next, and so on."""
    if not words:
        return True
    for node in body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [node])
        if words[0] in {getattr(target, "name", getattr(target, "id", None)) for target in targets}:
            return _defines(getattr(node, "body", []), words[1:])
    return False


def exists(code, folder):
    """Whether what a page names exists; True of anything that is no name, such as an equation."""
    if target := re.fullmatch(r"make ([\w-]+).*", code):
        return re.search(rf"^{target[1]}:", (ROOT / "Makefile").read_text(), re.M) is not None
    name = code.partition("=")[0].removeprefix("-S ")
    if re.fullmatch(rf"({'|'.join(Params.model_fields)})(\.[a-z_]+)+", name) and not FILE.fullmatch(name):
        return param_exists(name)
    if FILE.fullmatch(code) and code not in UNITS:
        return file_exists(code, folder)
    if re.fullmatch(r"(heatflow|stages|benchmarks)(\.\w+)+", code):
        return object_exists(code)
    if re.fullmatch(r"[A-Za-z_]\w*", code):
        return code in KNOWN or any(pattern.fullmatch(code) for pattern in COMPOSED)
    return True


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_exists(path):
    spans = code_spans(path.read_text())
    assert spans
    assert [code for code in dict.fromkeys(spans) if not exists(code, path.parent)] == []


@pytest.mark.parametrize(
    "code",
    [
        "data/nothing.tif", "heatflow/geo/nothing.py", "docs/nothing.md", "data/saliency/nothing.csv", "train.dropuot",
        "train.nothing=3", "heatflow.geo.nothing", "heatflow.geo.tiles.nothing", "make nothing", "auc_of_nothing",
    ],
)  # fmt: skip
def test_a_name_of_nothing_is_noticed(code):
    assert not exists(code, ROOT)


def test_settings_named_on_the_pages_are_valid(tmp_path):
    settings = {
        setting
        for path in PAGES
        for code in code_spans(path.read_text())
        for setting in re.findall(r"(?<!\.)\b([a-z]+\.[a-z_]+)=(\S+)", code)
        if setting != ("section.name", "value")
    }
    assert len(settings) >= 15
    for key, value in settings:
        section, _, name = key.partition(".")
        content = params_with(**{section: {name: yaml.safe_load(value.rstrip('"'))}})
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        load(tmp_path / "params.yaml", ())


def test_messages_in_the_table_of_troubles_are_those_of_the_code():
    rows = re.findall(r"^\| `(.+?)`(?:, `(.+?)`)? \|", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
    messages = [message for row in rows for message in row if message]
    assert len(messages) >= 10
    of_others = [os.strerror(errno.ENOSPC).lower(), "dvc.lock validation failed", "Unable to read RWLock-file"]
    for message in messages:
        for part in re.split(r"\.\.\.|<\w+>|\d+|;", message):
            assert any(part.strip() in text for text in [*STRINGS, *of_others]), part


def test_the_page_of_params_is_up_to_date():
    assert (ROOT / "docs/params.md").read_text() == page(yaml.safe_load((ROOT / "params.yaml").read_text())), (
        "make docs"
    )


def test_every_output_is_described():
    described = {name: (ROOT / name / "README.md").read_text() for name in ("data", "metrics")}
    for stage in STAGES.values():
        for kind in ("outs", "plots", "metrics"):
            for out in stage.get(kind, []):
                top, _, name = (out if isinstance(out, str) else next(iter(out))).partition("/")
                assert f"`{name}" in described[top], f"{top}/{name}"


def test_keys_in_the_table_of_metrics_are_those_of_the_files():
    for row in (ROOT / "metrics/README.md").read_text().splitlines():
        files = [
            ROOT / "metrics" / name
            for name in re.findall(r"`(\w+\.(?:json|csv))`", row.split("|")[1:2][0] if "|" in row else "")
        ]
        if files:
            known = set().union(*(keys(path) for path in files), ABSENT)
            named = {code for code in code_spans(row.split("|")[3]) if re.fullmatch(r"[a-z_]+", code)}
            assert named <= known, row


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.+)$", target.read_text(), re.M)), link
