"""The account of rows that are left out: for each reason, how many."""

import pandas as pd


def count_reasons(reason: pd.Series) -> dict[str, int]:
    """Number of rows left out for each reason, the commonest first.

    Parameters
    ----------
    reason : Series of str
        "" where the row is kept.

    Examples
    --------
    >>> count_reasons(pd.Series(["", "no relief", "constant fill", "no relief"]))
    {'no relief': 2, 'constant fill': 1}
    """
    return {str(text): int(n) for text, n in reason[reason != ""].value_counts().items()}


def as_metrics(counts: dict[str, int]) -> dict[str, int]:
    """The same with keys for JSON, in alphabetical order.

    >>> as_metrics({"no relief": 2, "constant fill": 1})
    {'constant_fill': 1, 'no_relief': 2}
    """
    return {text.replace(" ", "_"): n for text, n in sorted(counts.items())}


def as_text(counts: dict[str, int]) -> str:
    """The same in a line.

    >>> as_text({"no relief": 2, "constant fill": 1})
    '2 no relief, 1 constant fill'
    """
    return ", ".join(f"{n} {text}" for text, n in counts.items())
