"""Weights are predictable and predictions useless (sections 3.3, 4.2 and 5.3, Table 2)."""

import pytest


@pytest.mark.finding("predictability")
def test_predictability(claim, uphold):
    uphold(claim)
