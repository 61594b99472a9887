"""Which service becomes the reference: the one whose aliases are lost least."""

from __future__ import annotations

from decimal import Decimal

import pytest

from alias_middleware.common_id import GALLERY, Candidate, Choice, advise
from alias_middleware.errors import ContactError

NEWS = Candidate("news", GALLERY, 9000, 100, {"EUR": Decimal(300)})
SHOP = Candidate("shop", GALLERY, 4000, 900, {"EUR": Decimal(2700), "CHF": Decimal(5)})
PUSH = Candidate("push", "premium_push", 1000, 10, {})


def test_what_each_choice_loses() -> None:
    """The aliases of all others: their visitors, clients and revenue; the least loss comes first."""
    advice = advise([SHOP, PUSH, NEWS])
    assert advice.choices == (
        Choice("news", ("shop", "push"), 5000, 910, {"CHF": Decimal(5), "EUR": Decimal(2700)}),
        Choice("shop", ("push", "news"), 10000, 110, {"EUR": Decimal(300)}),
        Choice("push", ("shop", "news"), 13000, 1000, {"CHF": Decimal(5), "EUR": Decimal(3000)}),
    )
    assert advice.monthly_cost == 100
    assert (advice.by_audience, advice.by_revenue, advice.is_clear) == ("news", "shop", False)


def test_equal_audiences_are_told_apart_by_their_history() -> None:
    """Whatever order the services are named in."""
    young, old = NEWS._replace(service="a", page_views=10), NEWS._replace(service="b", page_views=20)
    for named in ([young, old], [old, young]):
        advice = advise(named)
        assert [(each.reference, each.page_views_lost) for each in advice.choices] == [("b", 10), ("a", 20)]
        assert advice.by_audience == "b"


def test_a_clear_choice() -> None:
    """Audience and revenue agree; without any revenue the audience decides."""
    assert advise([SHOP, PUSH]).is_clear
    advice = advise([NEWS._replace(revenue={}), PUSH])
    assert (advice.by_revenue, advice.is_clear) == ("news", True)


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        pytest.param([NEWS], "two services", id="one service"),
        pytest.param([NEWS, NEWS], "each named once", id="the same twice"),
        pytest.param([NEWS, PUSH._replace(offer="light_pull")], "not with 'light_pull'", id="not sold with it"),
        pytest.param([NEWS, PUSH._replace(offer="premium")], "not with 'premium'", id="an unknown offer"),
    ],
)
def test_no_advice(candidates: list[Candidate], says: str) -> None:
    """The option is sold with certain offers only."""
    with pytest.raises(ContactError, match=says):
        advise(candidates)
