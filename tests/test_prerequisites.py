"""Setting up without what it needs: `.ci/venv` and `.ci/pythons` name what is missing, and its remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TOO_OLD = "sys.version_info = (3, 10, 2, 'final', 0)"
OTHER = "platform.python_implementation = lambda: 'PyPy'"
WITHOUT_VENV = "sys.modules['ensurepip'] = None"
FAILING = "sys.exit(1)"

_PYTHON = """#!/bin/sh
prelude="import platform, sys; sys._base_executable = '$0'; {change}"
case $1 in
-I) exec "{python}" -I -c "$prelude
$3" ;;
-c) exec "{python}" -c "$prelude
$2" ;;
esac
{otherwise}
"""
"""A Python with a change made to it before it does what it is told."""
_MAKES_ONE_WITHOUT_NETWORK = r"""
mkdir -p "$4/bin"
printf '#!/bin/sh\necho "Could not find a version" >&2\nexit 1\n' >"$4/bin/python"
chmod +x "$4/bin/python"
"""
"""What it does at `-m venv --clear FOLDER`: pip has no index to install from."""


class Machine:
    """A machine with no more than is put on it."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir()
        self.environment = folder / "environment"
        for name in ("awk", "chmod", "head", "mkdir", "touch"):
            found = shutil.which(name)
            assert found
            (self._bin / name).symlink_to(found)

    def python(self, change: str = "pass", *, name: str = "python3", otherwise: str = "exit 1") -> Path:
        """Put a changed Python there; `otherwise` is what it does at `-m`."""
        path = self._bin / name
        path.write_text(_PYTHON.format(python=sys.executable, change=change, otherwise=otherwise))
        path.chmod(0o755)
        return path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script of the checkout."""
        environment = {"PATH": str(self._bin), **variables}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def complaint(self, python: str = "", *before: str) -> str:
        """Give the line in which `.ci/venv` says why it makes no environment; `before` it only these."""
        result = self.run(".ci/venv", str(self.environment), python)
        assert result.returncode == 1
        *others, line = result.stderr.splitlines()
        assert others == [*before]
        return line


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_python_it_says_what_to_install(machine: Machine) -> None:
    remedy = "install one: apt-get install python3 python3-venv"
    assert machine.complaint() == f"error: no Python 3.11 to 3.14 found; {remedy}"
    assert not machine.environment.exists()


@pytest.mark.parametrize("change", [TOO_OLD, OTHER, FAILING], ids=["too old", "PyPy", "fails"])
def test_a_python_that_will_not_do_is_none(machine: Machine, change: str) -> None:
    """Asked for by name it is named, with what would do."""
    unfit = machine.python(change)
    assert "no Python 3.11 to 3.14 found; install one:" in machine.complaint()
    remedy = "name another, or none: one is looked for then"
    assert machine.complaint(str(unfit)) == f"error: PYTHON={unfit} is no CPython 3.11 to 3.14 that runs; {remedy}"
    assert "PYTHON=nowhere is no CPython" in machine.complaint("nowhere")


@pytest.mark.parametrize("named", ["", "python3"], ids=["found", "asked for"])
def test_without_venv_it_says_which_package_has_it(machine: Machine, named: str) -> None:
    """Debian packs it apart, for each version."""
    python = machine.python(WITHOUT_VENV)
    remedy = f"install it: apt-get install python{VERSION}-venv"
    assert machine.complaint(named) == f"error: {python} has no venv module; {remedy}"
    assert not machine.environment.exists()


def test_where_nothing_can_be_installed_it_says_what_that_needs(machine: Machine) -> None:
    machine.python(otherwise=_MAKES_ONE_WITHOUT_NETWORK)
    needs = "it needs the network, or an index named by PIP_INDEX_URL"
    assert (
        machine.complaint("", "Could not find a version")
        == f"error: pip could not install into {machine.environment} (see above); {needs}"
    )
    assert not (machine.environment / ".installed").exists()


def test_of_one_version_the_one_that_makes_environments_is_taken(machine: Machine) -> None:
    """However many are there; what does not run, or is another version, is passed over."""
    machine.python(WITHOUT_VENV)
    complete = machine.python(name=f"python{VERSION}")
    assert machine.run(".ci/pythons").stdout.splitlines() == [f"{VERSION} {complete}"]


def test_python3_comes_first_and_one_of_each_version_follows(machine: Machine) -> None:
    """As `make` takes the first, and `make test` all."""
    versions = {"python3": 13, "python3.11": 11, "python3.12": 10, "python3.13": 13, "python3.14": 15}
    pythons = {
        name: machine.python(f"sys.version_info = (3, {minor})", name=name) for name, minor in versions.items()
    }
    expected = [f"3.13 {pythons['python3']}", f"3.11 {pythons['python3.11']}"]
    assert machine.run(".ci/pythons").stdout.splitlines() == expected


def test_pythons_that_are_named_replace_the_search(machine: Machine, tmp_path: Path) -> None:
    """Also pyenv's, which is searched without being in the PATH."""
    machine.python()
    home = tmp_path / "home"
    kept = home / f".pyenv/versions/{VERSION}.1/bin"
    kept.mkdir(parents=True)
    other = machine.python(name="elsewhere").rename(kept / "python3")
    machine.python(FAILING)
    assert machine.run(".ci/pythons", HOME=str(home)).stdout.splitlines() == [f"{VERSION} {other}"]
    found = machine.python(name="another")
    assert machine.run(".ci/pythons", HOME=str(home), PYTHONS=str(found)).stdout.splitlines() == [
        f"{VERSION} {found}"
    ]
