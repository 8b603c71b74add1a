import dataclasses

import numpy as np
import pytest
import torch

from unspool.data.augmentation import AugmentationSettings
from unspool.data.batches import Batches
from unspool.data.sequences import Sequences
from unspool.data.source import Division
from unspool.errors import TrainingError
from unspool.training.report import Observer


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model, weights):
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def without_seconds(records):
    return [dataclasses.replace(record, seconds=0) for record in records]


# --- one seed ------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("augmentation", [{}, {"shift": 1}, {"rotation": 9.0, "zoom": 0.1}])
def test_one_seed_gives_the_same_bits_and_another_gives_others(
    make_task, learn, same_weights, dropout, augmentation
):
    def trained(seed):
        task = make_task(seed=seed, dropout=dropout, num_layers=2)
        task.augmentation = AugmentationSettings(**augmentation)
        _, log = learn(task, seed)
        return task.model, without_seconds(log.records)

    (one, records), (again, same_records), (other, _) = (trained(seed) for seed in (7, 7, 8))
    assert same_weights(one, again)
    assert records == same_records
    assert not same_weights(one, other)


def test_the_caller_s_random_state_does_not_matter(make_task, learn, same_weights):
    torch.manual_seed(1)
    one = make_task(dropout=0.3)
    learn(one)
    torch.manual_seed(2)
    other = make_task(dropout=0.3)
    learn(other)
    assert same_weights(one.model, other.model)


def test_the_test_part_is_never_looked_at(make_task, learn, division, same_weights):
    test = division.test
    poison = Sequences(np.full_like(test.values, np.nan), test.lengths, np.array(["?"] * len(test)))
    task, other = make_task(), make_task(parts=dataclasses.replace(division, test=poison))
    learn(task)
    learn(other)
    assert same_weights(task.model, other.model)


# --- what the loop does --------------------------------------------------------------------


def test_it_learns(make_task, learn):
    _, log = learn(make_task(), epochs=15, optimizer={"lr": 0.02})
    losses = log.losses("validation")
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_a_gradient_is_clipped_where_that_is_asked_for(make_task, learn, clip):
    """Plain SGD at rate 1 moves the weights by the gradient itself."""
    task, moved = make_task(), []
    before = torch.cat([p.detach().flatten() for p in task.model.parameters()])

    class Look(Observer):
        def stepped(self, state, totals):
            after = torch.cat([p.detach().flatten() for p in task.model.parameters()])
            moved.append(float((after - before).norm()))

    learn(
        task,
        epochs=1,
        batch_size=36,
        clip_norm=clip,
        optimizer={"name": "sgd", "lr": 1.0},
        observers=[Look()],
    )
    if clip:
        assert moved == [pytest.approx(clip, rel=0.01)]
    else:
        assert moved[0] > 0.01


def test_records_hold_every_batch_once(make_task, learn, division):
    """Four batches an epoch, told of after two: the means of the records are those of the epoch."""
    task = make_task()
    expected = []

    class Sums(Observer):
        def stepped(self, state, totals):
            expected.append((float(totals.loss), float(totals.weight)))

    _, log = learn(task, epochs=2, observers=[Sums()])
    train = [record for record in log.records if record.split == "train"]
    assert [(record.step, record.epoch) for record in train] == [(2, 1), (4, 1), (6, 2), (8, 2)]
    for place, record in enumerate(train):
        (loss, weight), (more, other) = expected[2 * place : 2 * place + 2]
        assert record.loss == pytest.approx((loss + more) / (weight + other), rel=1e-6)
        assert record.metrics["skipped"] == 0
        assert record.metrics["lr"] == 0.003
    validation = [record for record in log.records if record.split == "validation"]
    assert [(record.step, record.epoch) for record in validation] == [(4, 1), (8, 2)]


def test_what_an_epoch_left_over_is_recorded_too(make_task, learn):
    _, log = learn(make_task(), epochs=2, report_every=3)
    steps = [record.step for record in log.records if record.split == "train"]
    assert steps == [3, 4, 6, 8]


def test_the_best_weights_are_restored(make_task, learn, division):
    """The rate is far too high, so that the last epoch is not the best one."""
    kept = {}

    class Keep(Observer):
        def epoch_ended(self, state, improved):
            kept[state.progress.epoch] = copy_of(state.task.model)

    task = make_task()
    state, log = learn(task, epochs=8, optimizer={"name": "sgd", "lr": 30.0}, observers=[Keep()])
    losses = log.losses("validation")
    best = int(np.argmin(losses)) + 1
    assert state.progress.best_epoch == best < 8
    assert state.progress.best_loss == min(losses)
    assert log.improved == [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]
    assert unchanged(task.model, kept[best])
    assert not unchanged(task.model, kept[8])
    assert task.validate()["loss"] == pytest.approx(min(losses))


def test_the_last_weights_are_kept_where_that_is_asked_for(make_task, learn):
    last = {}

    class Keep(Observer):
        def epoch_ended(self, state, improved):
            last.update(copy_of(state.task.model))

    task = make_task()
    high = {"name": "sgd", "lr": 30.0}
    state, _ = learn(task, epochs=8, keep="last", optimizer=high, observers=[Keep()])
    assert state.progress.best_epoch < 8
    assert unchanged(task.model, last)


@pytest.mark.parametrize("patience", [1, 3])
def test_it_stops_when_patience_runs_out(make_task, learn, patience):
    state, log = learn(
        make_task(), epochs=60, patience=patience, optimizer={"name": "sgd", "lr": 30.0}
    )
    losses = log.losses("validation")
    assert len(losses) == state.progress.epoch == state.progress.best_epoch + patience < 60
    assert min(losses[-patience:]) >= state.progress.best_loss


def test_without_a_validation_part_the_last_weights_stay(make_task, learn, division):
    no_part = Division(division.training, division.test.take([]), division.test)
    task, kept = make_task(parts=no_part), {}

    class Keep(Observer):
        def epoch_ended(self, state, improved):
            kept.update(copy_of(state.task.model))

    state, log = learn(task, observers=[Keep()])
    assert (state.progress.best_loss, state.progress.best_epoch) == (None, 0)
    assert not any(log.improved)
    assert {record.split for record in log.records} == {"train"}
    assert unchanged(task.model, kept)


def test_dropout_is_on_in_training_and_off_in_validation(make_task, learn):
    task, modes = make_task(dropout=0.3), set()

    class Look(Observer):
        def stepped(self, state, totals):
            modes.add(task.model.training)

    learn(task, observers=[Look()])
    assert modes == {True}
    assert task.validate() == task.validate()


# --- gradients that are not finite ---------------------------------------------------------


def broken(make_task, steps):
    """A task whose loss is not finite at some steps, counted from 0 over all epochs."""
    task = make_task()
    task.seen = 0
    loss = task.loss

    def sometimes_broken(batch):
        totals = loss(batch)
        factor = float("inf") if task.seen in steps else 1.0
        task.seen += 1
        return dataclasses.replace(totals, loss=totals.loss * factor)

    task.loss = sometimes_broken
    return task


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_not_finite_moves_nothing(make_task, learn, name, clip):
    task, trail = broken(make_task, {0, 1, 6}), []
    start = copy_of(task.model)

    class Look(Observer):
        def stepped(self, state, totals):
            trail.append(copy_of(task.model))

    optimizer = {"name": name, "lr": 0.01, "weight_decay": 0.1}
    state, log = learn(task, clip_norm=clip, optimizer=optimizer, observers=[Look()])
    before = [start, *trail[:-1]]
    moved = [
        any(not torch.equal(old[key], new[key]) for key in old)
        for old, new in zip(before, trail, strict=True)
    ]
    assert moved == [step not in {0, 1, 6} for step in range(12)]
    assert (state.progress.skipped, state.progress.skipped_in_row) == (3, 0)
    assert state.progress.step == 12
    train = [record for record in log.records if record.split == "train"]
    assert [record.metrics["skipped"] for record in train] == [2, 2, 2, 3, 3, 3]
    assert train[0].loss is None  # both of its batches could not be used
    assert train[0].metrics["accuracy"] is None
    assert all(record.loss is not None for record in train[1:])


def test_too_many_in_a_row_end_the_run_at_the_weights_before_them(make_task, learn):
    task, kept = broken(make_task, {2, 5, 6, 7}), []

    class Look(Observer):
        def stepped(self, state, totals):
            kept.append(copy_of(task.model))

    expected = next(
        batch.indices[:8].tolist()
        for place, batch in enumerate(Batches(task._training, 10).shuffled(1, 1))
        if place == 3
    )
    with pytest.raises(TrainingError) as error:
        learn(task, max_skipped=3, observers=[Look()])
    message = str(error.value)
    assert (
        "not finite for 3 batches in a row, the last one batch 4 of epoch 2 (loss inf)" in message
    )
    assert "training.optimizer.lr" in message
    assert str(expected) in message
    assert "\n" not in message
    assert unchanged(task.model, kept[4])


def test_a_rate_that_blows_up_is_explained_and_leaves_nothing_undefined(make_task, learn):
    task = make_task(cell="rnn", objective="every-step")
    with pytest.raises(TrainingError, match="not finite for 5 batches in a row"):
        learn(task, epochs=50, optimizer={"name": "sgd", "lr": 1e38})


def test_a_validation_loss_that_is_not_finite_is_never_the_best(make_task, learn):
    task = make_task()
    losses = iter([2.0, float("nan"), 1.0, float("inf")])
    task.validate = lambda: {"loss": next(losses), "accuracy": 0.5}
    state, log = learn(task, epochs=4)
    assert log.improved == [True, False, True, False]
    assert state.progress.best_epoch == 3
    assert log.losses("validation") == [2.0, None, 1.0, None]
