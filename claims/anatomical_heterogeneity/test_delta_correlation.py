"""Weight changes oscillate from layer to layer (sections 3.4, 4.3 and 5.2, Table 3)."""

import pytest


@pytest.mark.finding("delta-correlation")
def test_delta_correlation(claim, uphold):
    uphold(claim)
