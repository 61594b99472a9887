"""The breaker: when the storage is asked, and when it is left alone."""

from __future__ import annotations

from alias_middleware.breaker import Breaker

SECOND = 1_000_000
NOW = 1_775_000_000 * SECOND


def opened() -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker()
    assert [breaker.failed(NOW) for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_after_three_failures_in_a_row() -> None:
    """Two failures and a success are no outage."""
    breaker = Breaker()
    for _ in range(3):
        assert not breaker.failed(NOW)
        assert not breaker.failed(NOW)
        assert not breaker.succeeded()
    assert breaker.allows(NOW)
    assert not breaker.is_open
    assert opened().is_open


def test_while_open_one_trial_a_second_is_allowed() -> None:
    """Of all who ask in a second, one may try."""
    breaker = opened()
    assert not breaker.allows(NOW)
    assert not breaker.allows(NOW + SECOND - 1)
    assert [breaker.allows(NOW + SECOND) for _ in range(3)] == [True, False, False]
    assert not breaker.failed(NOW + SECOND)
    assert [breaker.allows(NOW + 2 * SECOND) for _ in range(2)] == [True, False]


def test_a_success_closes_it() -> None:
    """The end of an outage is told once; then three failures open it again."""
    breaker = opened()
    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert all(breaker.allows(NOW) for _ in range(3))


def test_a_clock_stepped_back_does_not_keep_it_open() -> None:
    """A trial due in the far future is due now."""
    breaker = opened()
    assert breaker.allows(NOW - 3600 * SECOND)
    assert not breaker.allows(NOW - 3600 * SECOND)
