import pytest
import torch

from unspool.data.source import SequenceDataSettings
from unspool.errors import TrainingError
from unspool.models.classifier import ClassifierSettings
from unspool.tasks.classify.training import ClassifySettings
from unspool.training.lr_finder import find_lr
from unspool.training.settings import TrainingSettings


@pytest.fixture(scope="module")
def digits():
    return ClassifySettings(
        data=SequenceDataSettings(name="digits"), model=ClassifierSettings(hidden_size=32)
    )


def test_it_finds_a_sensible_rate_for_digits(digits):
    settings = TrainingSettings(batch_size=32)
    task = digits.build(1)
    before = torch.get_rng_state()
    search = find_lr(task, settings, 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert 1e-3 < search.suggestion < 0.1
    assert search.rates == sorted(search.rates)
    assert len(search.rates) == len(search.losses)
    assert search.rates[0] == pytest.approx(1e-6)
    assert search.suggestion in search.rates
    assert min(search.losses) < 0.7 * search.losses[0]
    again = find_lr(digits.build(1), settings, 1)
    assert again == search


def test_data_that_is_out_of_scale_is_explained(make_task):
    task = make_task(cell="rnn")
    task.model.scale.fill_(1e-45)
    with pytest.raises(TrainingError, match="not finite at a learning rate of 1e-06"):
        find_lr(task, TrainingSettings(batch_size=10), 1)


def test_it_goes_round_data_of_a_single_batch(make_task):
    search = find_lr(make_task(), TrainingSettings(batch_size=100), 1, steps=20)
    assert len(search.rates) > 3
