"""Results of every experiment can be invented: what the tests of reports and of mutations rest on."""

import pytest
from ledgers import assembled, own_experiments, subject

from anatomy_bench.claim.claim import Need
from anatomy_bench.values.profile import Profile


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("experiment", own_experiments())
def test_every_unit_of_an_experiment_has_a_result_of_its_kind(experiment: str, profile: Profile):
    made = assembled(Need(experiment), subject(), profile)
    strange = {
        type(unit).__name__: type(each.result).__name__
        for unit, each in made.finished.items()
        if not isinstance(each.result, made.task.experiment.result_type)
    }
    assert strange == {}, f"say how results of {experiment} are invented, in `invented.py` of its paper's tests"
    assert isinstance(made.task.assemble(made.finished), made.task.experiment.measurement_type)
