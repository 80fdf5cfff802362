"""Growth training ends at a 4.7 times lower loss than uniform training (section 4.6, Tables 6 to 9)."""

import pytest


@pytest.mark.finding("growth")
def test_growth(claim, uphold):
    uphold(claim)
