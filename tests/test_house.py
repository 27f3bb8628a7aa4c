"""The measures of the house hold: what `make house` prints."""

import ast
import re

import pytest
import yaml

from tests import house
from tests.helpers import ROOT


def test_stages_are_short():
    lines = house.stage_lines()
    assert {name: n for name, n in lines.items() if n > house.STAGE_LINES} == {}
    assert sum(lines.values()) <= house.ALL_STAGES


def test_functions_are_short_or_have_a_reason():
    assert house.long_functions().keys() == house.LONG.keys()
    assert len(house.LONG) <= 5
    assert not [name for name in house.LONG if name.startswith("stages/")]


def test_every_function_has_full_annotations():
    assert house.without_annotations() == []


def test_there_is_no_more_code_than_was_agreed():
    assert sum(house.code_lines().values()) <= house.CODE_LINES


def test_no_two_places_repeat_each_other():
    assert house.repetitions() == []


def test_nothing_private_of_a_library_is_imported():
    private = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in house.modules(*house.ROOMS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in (getattr(node, "module", None) or "", *(alias.name for alias in node.names))
        if re.search(r"(^|\.)_(?!_)", name) and not (getattr(node, "module", None) or name).startswith("stages")
    ]
    assert private == []


def test_hooks_run_what_make_lint_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    ran = [hook["entry"].removesuffix(" --force-exclude") for hook in hooks[0]["hooks"]]
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert ran == [line.removeprefix("\t@").removesuffix(" .") for line in recipe[1].splitlines()]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""Doc."""\n\n# comment\nx = 1\n', 1),
        ('def f():\n    """Doc\n\n    of two lines."""\n    return """a\nb"""\n', 3),
        ('class C:\n    x: int = 1\n    """what x is"""\n', 2),
        ("f(\n    1,\n)\n", 3),
    ],
)
def test_lines_of_code_are_those_that_are_no_docstring_comment_or_blank(source, lines):
    assert house.code_in(source) == lines
