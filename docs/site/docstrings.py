"""How mkdocstrings reads docstrings."""

import re
from typing import Any

import griffe

SECTION = re.compile(r"^Examples\n-+$", re.M)
EXAMPLE = re.compile(r"^>>> ", re.M)


class Doctests(griffe.Extension):
    """Give an example that stands without a heading one, or it would be read as a quotation."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object, which griffe has just read."""
        if obj.docstring is not None:
            obj.docstring.value = with_heading(obj.docstring.value)


def with_heading(text: str) -> str:
    """A cleaned docstring whose doctests are in a section."""
    first = EXAMPLE.search(text)
    if first is None or SECTION.search(text):
        return text
    example, _, rest = text[first.start() :].partition("\n\n")
    rest = rest.strip("\n")
    return "\n\n".join(
        part for part in (text[: first.start()].rstrip(), rest, f"Examples\n--------\n{example}") if part
    )
