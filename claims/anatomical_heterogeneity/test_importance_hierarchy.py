"""H1: layers form an importance hierarchy (sections 3.2 and 4.1, Table 1)."""

import pytest


@pytest.mark.finding("importance-hierarchy")
def test_importance_hierarchy(claim, uphold):
    uphold(claim)
