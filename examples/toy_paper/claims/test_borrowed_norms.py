"""Layers need no norms of their own (section 2)."""

import pytest


@pytest.mark.finding("borrowed-norms")
def test_borrowed_norms(claim, uphold):
    uphold(claim)
