"""Categories of paths, by the patterns of the settings."""

from __future__ import annotations

import pytest

from alias_middleware.categories import Categories

RULES = {"/sport/results": "results", "/sport/*": "sport", "/[mn]*": "mixed", "*.wml": "wml"}


@pytest.mark.parametrize(
    ("path", "category"),
    [
        pytest.param("/sport/foot", "sport", id="a pattern"),
        pytest.param("/sport/a/b", "sport", id="a star crosses slashes"),
        pytest.param("/sport/results", "results", id="the first that matches wins"),
        pytest.param("/sport", None, id="the whole path must match"),
        pytest.param("/music", "mixed", id="a set of letters"),
        pytest.param("/a.wml", "wml", id="the last rule"),
        pytest.param("/line\nbreak.wml", "wml", id="a path with a line break"),
        pytest.param("/A.WML", None, id="case counts"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_category_of_a_path(path: str, category: str | None) -> None:
    """Patterns as in `excluded_paths`; asked again, the answer is the same."""
    categories = Categories(RULES)
    assert [categories.of(path), categories.of(path)] == [category, category]


def test_what_is_remembered_is_bounded() -> None:
    """Visitors make up paths: memory does not grow with them."""
    categories = Categories(RULES)
    for number in range(10_000):
        assert categories.of(f"/sport/{number}") == "sport"
    assert len(categories._known) <= 4096
