"""The tests; each file mirrors one of the package."""

import pytest

pytest.register_assert_rewrite("alias_middleware.testing")  # the shipped contract's plain asserts explain themselves
