"""Of all strategies only scaling by 0.9 leaves the model usable (sections 3.5, 4.4 and 5.3, Table 4)."""

import pytest


@pytest.mark.finding("manipulation")
def test_manipulation(claim, uphold):
    uphold(claim)
