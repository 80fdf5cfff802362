"""The paper's own arithmetic: what its text and tables say of one another. Needs no model."""

import pytest


@pytest.mark.finding("arithmetic")
def test_arithmetic(claim, uphold):
    uphold(claim)
