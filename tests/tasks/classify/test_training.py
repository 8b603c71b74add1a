import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from unspool.data.augmentation import AugmentationSettings
from unspool.data.batches import Batches
from unspool.data.sequences import Sequences
from unspool.data.source import Division, SequenceDataSettings
from unspool.errors import DataError, RecipeError
from unspool.tasks.classify.training import Classify, ClassifySettings
from unspool.tasks.task import Totals

OBJECTIVES = ["end", "every-step"]


def in_all(task: Classify, data: Sequences, batch_size: int) -> Totals:
    """The loss over all of the training part, in batches of one size."""
    with torch.no_grad():
        parts = [task.loss(batch) for batch in Batches(data, batch_size).in_order()]
    return sum(parts[1:], start=parts[0])


def alone(task: Classify, data: Sequences):
    """The logits after every step of each sequence by itself, and its class."""
    labels = data.labels.tolist()
    for place in range(len(data)):
        x = torch.from_numpy(data.take([place]).values)[None]
        with torch.no_grad():
            logits = [task.model(x[:, :end])[0] for end in range(1, x.shape[1] + 1)]
        yield torch.stack(logits), task.predictor.classes.index(labels[place])


# --- the loss ------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("weights", [None, "balanced", {"low": 3.0, "mid": 0.5}])
def test_the_loss_is_a_sum_over_a_count_that_no_batch_size_changes(
    make_task, division, objective, bidirectional, weights
):
    task = make_task(objective=objective, bidirectional=bidirectional, class_weights=weights)
    task.model.eval()
    whole = in_all(task, division.training, 36)
    for batch_size in (1, 3):
        parts = in_all(task, division.training, batch_size)
        assert float(parts.loss) == pytest.approx(float(whole.loss), rel=1e-6)
        assert float(parts.weight) == pytest.approx(float(whole.weight), rel=1e-6)
        assert (int(parts.sums["hits"]), parts.count) == (int(whole.sums["hits"]), whole.count)
    assert whole.count == 36


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("weights", [None, {"low": 3.0, "mid": 0.5}])
def test_the_loss_of_every_step_is_that_of_a_loop_by_hand(
    make_task, division, bidirectional, weights
):
    task = make_task(objective="every-step", bidirectional=bidirectional, class_weights=weights)
    task.model.eval()
    by_class = torch.tensor([3.0, 0.5, 1.0]) if weights else torch.ones(3)
    loss = positions = hits = 0.0
    for logits, target in alone(task, division.training):
        for after in logits:
            loss += float(by_class[target] * -after.log_softmax(0)[target])
            positions += float(by_class[target])
        hits += int(logits[-1].argmax()) == target
    totals = in_all(task, division.training, 36)
    assert float(totals.loss) == pytest.approx(loss, rel=1e-5)
    assert float(totals.weight) == pytest.approx(positions, rel=1e-6)
    assert float(totals.mean_loss) == pytest.approx(loss / positions, rel=1e-5)
    assert task.measure(totals) == {"accuracy": hits / 36}
    if weights is None:
        assert float(totals.weight) == division.training.lengths.sum()


@pytest.mark.parametrize("weights", [None, {"low": 3.0, "mid": 0.5}])
def test_the_loss_at_the_end_is_torchs_cross_entropy(make_task, division, weights):
    task = make_task(class_weights=weights)
    task.model.eval()
    logits, targets = zip(*alone(task, division.training), strict=True)
    expected = F.cross_entropy(
        torch.stack([steps[-1] for steps in logits]),
        torch.tensor(targets),
        weight=torch.tensor([3.0, 0.5, 1.0]) if weights else None,
    )
    assert float(in_all(task, division.training, 36).mean_loss) == pytest.approx(
        float(expected), rel=1e-6
    )


def test_what_stands_in_the_padding_changes_nothing(make_task):
    task = make_task(objective="every-step")
    task.model.eval()
    batch = next(task.training_batches(12, 1, 0))
    expected = task.loss(batch)
    steps = torch.arange(batch.x.shape[1])
    batch.x[steps >= batch.lengths[:, None]] = 1e6
    assert float(task.loss(batch).loss.detach()) == float(expected.loss.detach())


def test_balanced_weights_are_those_of_scikit_learn(make_task, sequences):
    data = sequences(30, 5).take([0, 1, 2, 3, 4, 6, 9, 12, 15, 18, 21])
    task = make_task(parts=Division(data, data.take([]), data), class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.unique(data.labels), y=data.labels)
    np.testing.assert_allclose(task._class_weights.numpy(), expected, rtol=1e-6)


def test_weights_of_unknown_labels_are_refused(make_task):
    with pytest.raises(
        RecipeError,
        match="class_weights names 'hi', expected labels of the training part: 'low', 'mid', 'top'",
    ):
        make_task(class_weights={"hi": 2.0, "low": 1.0})


# --- the parts of the data -----------------------------------------------------------------


def test_normalisation_is_fitted_on_the_training_part_alone(make_task, division, sequences):
    far = Sequences(division.validation.values * 1e4, division.validation.lengths, None)
    poisoned = Division(
        division.training, Sequences(far.values, far.lengths, division.validation.labels), far
    )
    task, other = make_task(), make_task(parts=poisoned)
    values = division.training.values
    np.testing.assert_allclose(task.model.centre.numpy(), values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(task.model.scale.numpy(), values.std(0), rtol=1e-5)
    assert torch.equal(task.model.centre, other.model.centre)
    assert torch.equal(task.model.scale, other.model.scale)


def test_the_division_does_not_depend_on_the_seed():
    settings = ClassifySettings(data=SequenceDataSettings(name="digits"))
    one, other = (settings.build(seed) for seed in (1, 2))
    np.testing.assert_array_equal(one._training.values, other._training.values)
    np.testing.assert_array_equal(one._validation.values, other._validation.values)
    assert not torch.equal(one.model.head.weight, other.model.head.weight)


def test_making_a_task_leaves_the_random_state_alone(make_task):
    before = torch.get_rng_state()
    make_task()
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_validation_part_there_is_nothing_to_report(make_task, division):
    task = make_task(parts=Division(division.training, division.test.take([]), division.test))
    assert task.validate() is None


def test_validation_figures_are_those_of_an_evaluation(make_task, division):
    task = make_task()
    evaluation = task.predictor.evaluate(division.validation, "validation")
    assert task.validate() == {"loss": evaluation.loss, "accuracy": evaluation.accuracy}


def test_augmentation_belongs_to_seed_epoch_and_place(make_task):
    task = make_task()
    task.augmentation = AugmentationSettings(shift=1)

    def first(seed, epoch):
        return next(task.training_batches(12, seed, epoch))

    once, again = first(1, 0), first(1, 0)
    assert torch.equal(once.x, again.x)
    plain = next(Batches(task._training, 12).shuffled(1, 0))
    assert torch.equal(once.indices, plain.indices)
    assert not torch.equal(once.x, plain.x)
    assert task.batches_an_epoch(12) == len(list(task.training_batches(12, 1, 0))) == 3
    assert task.batches_an_epoch(5) == 8


# --- bad data ------------------------------------------------------------------------------


def test_augmentation_of_sequences_of_unequal_lengths_is_refused(tmp_path):
    path = tmp_path / "walks.npz"
    np.savez(path, x=np.ones((20, 3, 2)), y=np.arange(20) % 2, lengths=np.arange(20) % 3 + 1)
    data = SequenceDataSettings(path=str(path), augmentation=AugmentationSettings(shift=1))
    with pytest.raises(DataError, match=r"walks\.npz has sequences of unequal lengths"):
        ClassifySettings(data=data).build(seed=1)


def test_a_validation_part_with_unseen_labels_is_refused_before_training(make_task, division):
    not_top = division.training.take(np.flatnonzero(division.training.labels != "top"))
    with pytest.raises(DataError, match=r"own.csv \(validation part\) has labels never seen"):
        make_task(parts=Division(not_top, division.validation, division.test), title="own.csv")


def test_a_single_class_is_refused_before_training(make_task, division):
    only_low = division.training.take(np.flatnonzero(division.training.labels == "low"))
    with pytest.raises(DataError, match="all sequences to learn from are labelled 'low'"):
        make_task(parts=Division(only_low, only_low, only_low))
