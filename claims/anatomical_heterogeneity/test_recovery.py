"""Layers recover from noise the more slowly the more they matter (sections 3.6, 4.5 and 5.4, Tables 5 and 10)."""

import pytest


@pytest.mark.finding("recovery")
def test_recovery(claim, uphold):
    uphold(claim)
