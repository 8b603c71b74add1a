import json

import numpy as np
import pytest
import torch

from unspool import runs
from unspool.data.binarisation import BinarisationSettings
from unspool.data.pictures import PictureDivision, Pictures
from unspool.errors import DataError, RecipeError
from unspool.models.drawing import DrawingSettings
from unspool.recipes import recipe as recipes
from unspool.tasks.draw.predictor import DrawingPredictor
from unspool.tasks.draw.training import Draw
from unspool.training.loop import train
from unspool.training.report import Observer
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState

SAVED = {"epochs": 3, "batch_size": 16, "optimizer": {"name": "adamw", "lr": 0.03}}


def described(**changes) -> recipes.NamedRecipe:
    values = {
        "task": "draw",
        "data": {"name": "digits", "limit": 60, "validation": 0.02},
        "model": {"hidden_size": 4, "num_sweeps": 1, "num_row_layers": 1, "dropout": 0.2},
        "training": SAVED,
    }
    return recipes.NamedRecipe("own", recipes.check({**values, **changes}, "own"))


# --- batches -------------------------------------------------------------------------------


def test_an_epoch_shows_every_picture_once(make_draw):
    task = make_draw(pixels="grey")
    batches = list(task.training_batches(16, seed=1, epoch=0))
    assert [len(batch) for batch in batches] == [16, 16, 16, 12]
    assert len(batches) == task.batches_an_epoch(16)
    seen = torch.cat([batch.indices for batch in batches])
    assert sorted(seen.tolist()) == list(range(60))
    other = torch.cat([batch.indices for batch in task.training_batches(16, seed=1, epoch=1)])
    assert not torch.equal(seen, other)


def test_grey_pictures_are_shown_as_they_are(make_draw, pictures):
    training = torch.from_numpy(pictures(60, 0).grey)
    for batch in make_draw(pixels="grey").training_batches(16, seed=1, epoch=0):
        assert torch.equal(batch.values, training[batch.indices])


def test_black_and_white_is_drawn_anew_in_every_epoch_and_belongs_to_seed_and_epoch(make_draw):
    def shown(seed: int, epoch: int) -> torch.Tensor:
        batches = list(make_draw().training_batches(16, seed, epoch))
        order = torch.cat([batch.indices for batch in batches]).argsort()
        return torch.cat([batch.values for batch in batches])[order]

    first = shown(1, 0)
    assert first.unique().tolist() == [0, 1]
    assert torch.equal(first, shown(1, 0))
    assert not torch.equal(first, shown(1, 1))
    assert not torch.equal(first, shown(2, 0))


def test_a_threshold_leaves_nothing_to_chance(make_draw, pictures):
    training = torch.from_numpy(pictures(60, 0).grey)
    task = make_draw(binarisation=BinarisationSettings(method="threshold"))
    for batch in task.training_batches(16, seed=1, epoch=0):
        assert torch.equal(batch.values, (training[batch.indices] > 127).byte())


# --- the loss ------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"conditional": True}, {"pixels": "grey"}])
def test_the_loss_is_a_sum_over_pictures(make_draw, settings):
    task = make_draw(**settings)
    with torch.no_grad():
        whole = task.loss(next(task.training_batches(60, seed=1, epoch=0)))
        model, labels = task.predictor.model, np.arange(60) % 2
        batch = next(task.training_batches(60, seed=1, epoch=0))
        by_hand = 0.0
        for values, index in zip(batch.values, batch.indices, strict=True):
            label = torch.from_numpy(labels[index : index + 1])
            given = label if settings.get("conditional") else None
            parameters = model(values[None], given)
            by_hand -= float(model.pixels.log_likelihood(parameters, values[None]).sum())
    assert float(whole.loss) == pytest.approx(by_hand, rel=1e-5)
    assert (float(whole.weight), whole.count) == (60, 60)
    measured = task.measure(whole)
    assert measured["nats_per_image"] == pytest.approx(by_hand / 60, rel=1e-5)
    assert measured["bits_per_pixel"] == pytest.approx(by_hand / 60 / 20 / np.log(2), rel=1e-5)


def test_validation_figures_are_those_of_an_evaluation(make_draw, pictures):
    task = make_draw()
    evaluation = task.predictor.evaluate(pictures(20, 1), "pictures")
    assert task.validate() == {"loss": evaluation.loss, **evaluation.metrics}


def test_it_learns_what_the_pictures_have_in_common(make_draw):
    for settings in ({}, {"pixels": "grey", "num_mixtures": 3}):
        task = make_draw(conditional=True, **settings)
        before = task.validate()["loss"]
        training = TrainingSettings(epochs=15, batch_size=20, optimizer={"lr": 0.03})
        train(TrainingState.start(task, training), training, 1)
        assert task.validate()["loss"] < 0.75 * before


# --- what does not fit ---------------------------------------------------------------------


def test_a_conditional_model_needs_labels(make_draw):
    with pytest.raises(DataError, match=r"data has no labels, expected one .*model\.conditional"):
        make_draw(labelled=False, conditional=True)
    assert make_draw(labelled=False).validate() is not None


def test_a_validation_part_with_unseen_labels_is_refused_before_training(make_draw, pictures):
    unseen = Pictures(pictures(4, 1).grey, np.array(["across", "down", "dot", "ring"]))
    division = PictureDivision(pictures(8, 0), unseen, pictures(4, 2), 255)
    settings = DrawingSettings(hidden_size=4, conditional=True)
    predictor = DrawingPredictor.untrained(division, settings, 1)
    with pytest.raises(DataError, match=r"validation part\) has the label 'dot', never seen"):
        Draw(predictor, division)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"name": "digits", "binarisation": {}}, "model": {"pixels": "grey"}},
            r"data\.binarisation is for model\.pixels 'binary', got 'grey'; leave it out",
        ),
        ({"model": {"hidden_siz": 8}}, r"hidden_siz: unknown key, did you mean model\.hidden_size"),
        ({"data": {"name": "digits", "binarisation": {"seed": -1}}}, r"data\.binarisation\.seed"),
        ({"data": {"name": "digits", "labels_path": "y"}}, "labels_path goes with path"),
    ],
)
def test_a_recipe_that_makes_no_sense(changes, message):
    with pytest.raises(RecipeError, match=message):
        described(**changes)


# --- a run ---------------------------------------------------------------------------------


class Stop(Observer):
    def __init__(self, step: int) -> None:
        self._step = step

    def stepped(self, state, totals):
        if state.progress.step == self._step:
            raise KeyboardInterrupt


def left_by(folder) -> dict[str, object]:
    found = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    for checkpoint in (folder / "checkpoints").iterdir():
        found[checkpoint.name] = (checkpoint / "state.safetensors").read_bytes()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [{**json.loads(line), "seconds": 0} for line in lines]
    return found


def test_a_resumed_run_ends_as_if_it_had_never_stopped(tmp_path):
    runs.train(described(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        runs.train(described(), tmp_path / "parts", observers=[Stop(6)])
    runs.resume(tmp_path / "parts")
    assert left_by(tmp_path / "parts") == left_by(tmp_path / "whole")


def test_one_seed_makes_one_network(make_draw, same_weights):
    state = torch.get_rng_state()
    assert same_weights(make_draw(seed=3).model, make_draw(seed=3).model)
    assert not same_weights(make_draw(seed=3).model, make_draw(seed=4).model)
    assert torch.equal(torch.get_rng_state(), state)
