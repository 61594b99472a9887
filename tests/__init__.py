"""The tests; each file mirrors one of the package."""

import pytest

pytest.register_assert_rewrite("alias_middleware.testing")  # its asserts explain themselves
