"""H4: some layers make the model worse (sections 1.2 and 4.1, Table 1)."""

import pytest


@pytest.mark.finding("anti-layers")
def test_anti_layers(claim, uphold):
    uphold(claim)
