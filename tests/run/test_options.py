"""Options as a notebook gives them: plain values, each of the kind that its declaration says."""

from pathlib import Path
from typing import Any

import pytest

from anatomy_bench.base.errors import UsageError
from anatomy_bench.run.options import Keeping, Options, Selection, declared, options_of
from anatomy_bench.values.profile import Profile


def test_plain_values_become_options():
    given = {
        "model": Path("here"),
        "profile": "paper",
        "corpus": "texts.txt",
        "seed": 3,
        "fresh": True,
        "revision": None,
    }
    made = options_of(given)
    assert made == Options("here", profile=Profile.PAPER, corpus=Path("texts.txt"), seed=3, fresh=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": "x"}, "seed is 'x', a str"),
        ({"seed": 1.5}, r"seed is 1\.5, a float"),
        ({"seed": True}, "seed is True, a bool"),
        ({"seed": -1}, "negative"),
        ({"fresh": "no"}, "fresh is 'no', a str"),
        ({"trust_remote_code": "no"}, "trust_remote_code is 'no'"),
        ({"corpus": 3}, "corpus is 3, an? int|corpus is 3, a int"),
        ({"profile": "slow"}, "give quick or paper"),
        ({"dtype": "float8"}, "give float32 or bfloat16"),
        ({"sed": 1}, "no option 'sed'; there are: model"),
    ],
)
def test_a_value_of_another_kind_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        options_of(given)


def test_no_two_options_share_a_name():
    names = [option.name for group in (Options, Selection, Keeping) for option in declared(group)]
    assert len(set(names)) == len(names)
