"""The pictures of commands show what these commands show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.pictures import COMMANDS, LIFE, drawn, shown, words, words_of
from tests.support.pages import DOCS, ROOT, blocks


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the database of a made-up month."""
    pytest.importorskip("rich")
    folder = tmp_path_factory.mktemp("site")
    assert "events" in shown(LIFE, folder)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_picture_is_what_the_command_shows(name: str, site: Path) -> None:
    """Word for word; of the doctor, which measures this machine, what is checked."""
    output = shown(COMMANDS[name], site)
    picture = DOCS / f"images/{name}.svg"
    if os.environ.get("ALIAS_WRITE_DOCS") == "1" and not (picture.exists() and shows(name, picture, output)):
        picture.write_text(drawn(output, COMMANDS[name]), encoding="utf-8")
    assert shows(name, picture, output), "draw it anew: ALIAS_WRITE_DOCS=1"


def shows(name: str, picture: Path, output: str) -> bool:
    """Tell whether a picture shows an output."""
    seen = words_of(picture.read_text(encoding="utf-8"))
    if name != "doctor":
        return words(output) == seen[-len(words(output)) :]
    checks = {first[1] for line in output.splitlines() if (first := words(line))[:1] in (["ok"], ["warn"])}
    return bool(checks) and checks <= set(seen)


def test_the_readme_shows_every_picture() -> None:
    """Who decides by the README alone has seen all there is to see, the design as its page has it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [path.name for path in (DOCS / "images").iterdir() if f"](docs/images/{path.name})" not in readme]
    assert missing == []
    (drawn,) = [block for block in blocks(DOCS / "explanation/design.md") if block.language == "text"]
    assert drawn.text in [block.text for block in blocks(ROOT / "README.md")]
