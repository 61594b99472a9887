"""The catalogue of forgeries: complete, each under a name and with a remedy, and none of them harmless."""

from __future__ import annotations

import pytest

from alias_middleware.doctor.forgeries import (
    CAUSES,
    COPY,
    PARSING,
    PEER,
    REMEDIES,
    SECRET,
    TWIN,
    Forgery,
    Words,
    of_a_stranger,
    through_a_gateway,
)

OWN, VICTIM = "314522927347", "271828182845"
WORDS = Words("wap-network-info", VICTIM, OWN, "x-gateway-key: a secret", ["10.12.0.1"])

CATALOGUES = [
    pytest.param(of_a_stranger(WORDS), id="stranger"),
    pytest.param(through_a_gateway(WORDS), id="gateway"),
]


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_each_forgery_has_a_name_a_remedy_and_a_victim(catalogue: list[Forgery]) -> None:
    """A report can name it, say what to do, and tell by the victim's alias whether it got through."""
    names = [forgery.name for forgery in catalogue]
    assert len(set(names)) == len(names)
    for forgery in catalogue:
        assert REMEDIES[forgery.cause]
        assert CAUSES[forgery.cause]
        text = "\r\n".join(forgery.lines)
        assert VICTIM[:-1] in text
        assert text.encode("latin-1").endswith(forgery.lines[-1].encode("latin-1"))


def test_stranger_tries_everything() -> None:
    """Copies, twins, odd writing, claimed peers and guessed secrets."""
    assert {forgery.cause for forgery in of_a_stranger(WORDS)} == {COPY, TWIN, PARSING, PEER, SECRET}


def test_gateways_line_comes_before_and_behind_each_copy() -> None:
    """Where a gateway puts its own line is not ours to know; its secret goes with it, and with nothing else."""
    for forgery in through_a_gateway(WORDS):
        has_own = WORDS.line(OWN) in forgery.lines
        assert has_own == (WORDS.secret in forgery.lines) == (not forgery.name.endswith("alone"))


def test_stranger_does_not_know_the_secret() -> None:
    """What a stranger sends never holds the secret itself."""
    assert not any(WORDS.secret in line for forgery in of_a_stranger(WORDS) for line in forgery.lines)
