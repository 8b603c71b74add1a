import json
from itertools import product

import numpy as np
import pytest
import torch

from unspool.data.binarisation import BinarisationSettings, binarise
from unspool.data.pictures import PictureDataSettings, Pictures
from unspool.errors import DataError, ModelFolderError
from unspool.tasks import model_card, model_folder

KINDS = [{}, {"pixels": "grey", "num_mixtures": 2}, {"conditional": True}]


# --- likelihood ----------------------------------------------------------------------------


def test_the_likelihood_is_that_of_the_network_row_by_row(make_draw, pictures):
    predictor = make_draw(num_row_layers=1).predictor
    values = predictor.values(pictures(7, 5).grey)
    by_row = predictor.log_likelihoods(values)
    assert by_row.shape == (7, 4)
    with torch.no_grad():
        expected = predictor.model.log_likelihood(torch.from_numpy(values))
    np.testing.assert_allclose(by_row.sum(1), expected, rtol=1e-5)


def test_a_row_s_share_depends_on_no_row_below(make_draw, pictures):
    predictor = make_draw().predictor
    values = predictor.values(pictures(5, 5).grey)
    changed = values.copy()
    changed[:, 2:] = 1 - changed[:, 2:]
    one, other = predictor.log_likelihoods(values), predictor.log_likelihoods(changed)
    assert np.array_equal(one[:, :2], other[:, :2])
    assert not np.array_equal(one[:, 2:], other[:, 2:])


def test_how_many_are_computed_at_a_time_changes_nothing(make_draw, pictures, monkeypatch):
    predictor = make_draw().predictor
    values = predictor.values(pictures(9, 5).grey)
    whole = predictor.log_likelihoods(values), predictor.complete(values, 2, 3, seed=4)
    monkeypatch.setattr("unspool.tasks.draw.predictor._PIXELS_AT_A_TIME", 45)  # 2 pictures
    np.testing.assert_allclose(predictor.log_likelihoods(values), whole[0], rtol=1e-6)
    assert np.array_equal(predictor.complete(values, 2, 3, seed=4), whole[1])
    assert predictor.log_likelihoods(values[:0]).shape == (0, 4)


def test_an_evaluation_tells_the_mean_and_the_parts(make_draw, pictures):
    predictor, examples = make_draw(conditional=True).predictor, pictures(11, 5)
    found = predictor.evaluate(examples, "pictures", by_step=True)
    numbers = torch.tensor([["across", "down"].index(label) for label in examples.labels])
    losses = -predictor.log_likelihoods(binarise(examples.grey, BinarisationSettings()), numbers)
    assert found.count == 11
    assert found.loss == pytest.approx(losses.sum(1).mean())
    assert sum(found.loss_by_row) == pytest.approx(found.loss)
    kinds = ("across", "down")
    expected = {kind: losses[examples.labels == kind].sum(1).mean() for kind in kinds}
    assert found.loss_by_label == pytest.approx(expected)


def test_what_is_judged_is_binarised_by_the_seed_of_the_settings(make_draw, pictures):
    examples = pictures(11, 5)
    one, again, other = (
        make_draw(binarisation=BinarisationSettings(seed=seed)).predictor.evaluate(examples, "x")
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one.loss != other.loss


# --- drawing -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_completions_keep_what_is_given_and_differ_below(make_draw, pictures, kind):
    predictor, examples = make_draw(**kind).predictor, pictures(5, 5)
    values = predictor.values(examples.grey)
    targets = predictor.targets(examples.labels, "pictures")
    drawn = predictor.complete(values, 2, 6, targets=targets)
    assert drawn.shape == (5, 6, 4, 5)
    assert (drawn[:, :, :2] == values[:, None, :2]).all()
    assert all(len(np.unique(samples, axis=0)) > 1 for samples in drawn)
    assert np.array_equal(drawn, predictor.complete(values, 2, 6, targets=targets))
    assert not np.array_equal(drawn, predictor.complete(values, 2, 6, targets=targets, seed=1))


def test_what_is_drawn_beside_it_changes_nothing(make_draw, pictures):
    predictor = make_draw().predictor
    values = predictor.values(pictures(6, 5).grey)
    many = predictor.complete(values, 2, 5, seed=3)
    assert np.array_equal(predictor.complete(values[:2], 2, 3, seed=3), many[:2, :3])
    assert np.array_equal(predictor.sample(2, seed=3), predictor.sample(9, seed=3)[:2])


def test_what_is_below_is_not_looked_at(make_draw, pictures):
    predictor = make_draw().predictor
    values = predictor.values(pictures(6, 5).grey)
    hidden = values.copy()
    hidden[:, 2:] = 0
    assert np.array_equal(predictor.complete(values, 2, 2), predictor.complete(hidden, 2, 2))


def test_pictures_drawn_are_pictures_that_are_likely(make_draw):
    """The mean log-likelihood of samples is the negative entropy, which all pictures give, too."""
    predictor = make_draw().predictor
    drawn = predictor.sample(4000, seed=0)[:, :1, :3]
    found, counts = np.unique(drawn.reshape(-1, 3), axis=0, return_counts=True)
    expected = []
    for pixels in product((0, 1), repeat=3):
        values = np.zeros((1, 4, 5), np.uint8)
        values[0, 0, :3] = pixels
        with torch.no_grad():
            parameters = predictor.model(torch.from_numpy(values))[0, 0, :3]
            logs = predictor.model.pixels.log_likelihood(parameters, torch.tensor(pixels))
        expected.append(4000 * float(logs.sum().exp()))
    assert len(found) == 8
    assert ((counts - expected) ** 2 / expected).sum() < 30  # chi-square of 7: 1 in 10,000


def test_temperature(make_draw, pictures):
    predictor = make_draw().predictor
    values = predictor.values(pictures(30, 5).grey)
    likely = [
        predictor.log_likelihoods(predictor.complete(values, 0, temperature=temperature)[:, 0])
        for temperature in (0.0, 0.4, 1.0, 3.0)
    ]
    means = [logs.sum(1).mean() for logs in likely]
    assert means == sorted(means, reverse=True)
    assert np.ptp(likely[0].sum(1)) == 0


def test_pixels_can_be_shown(make_draw):
    assert make_draw().predictor.grey(np.array([[[0, 1]]], np.uint8)).tolist() == [[[0, 255]]]
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(make_draw(pixels="grey").predictor.grey(grey), grey)


# --- what does not fit ---------------------------------------------------------------------


def test_pictures_that_do_not_fit(make_draw, pictures):
    predictor = make_draw(conditional=True).predictor
    with pytest.raises(DataError, match=r"own has pictures of 3 x 5 pixels, expected 4 x 5 as in"):
        predictor.evaluate(Pictures(pictures(3, 1).grey[:, :3]), "own")
    with pytest.raises(DataError, match="own has no labels, expected one for each picture"):
        predictor.evaluate(pictures(3, 1, labelled=False), "own")
    unknown = Pictures(pictures(1, 1).grey, np.array(["dot"]))
    with pytest.raises(DataError, match="label 'dot', never seen in training; expected one of acr"):
        predictor.evaluate(unknown, "own")


def test_it_names_nothing(make_draw):
    with pytest.raises(DataError, match="names none; use: unspool draw MODEL IMAGE --out"):
        next(iter(make_draw().predictor.answers("x.png", 1, False)))


def test_labels_that_are_numbers_are_in_their_order(make_draw, pictures):
    from unspool.data.pictures import PictureDivision
    from unspool.models.drawing import DrawingSettings
    from unspool.tasks.draw.predictor import DrawingPredictor

    some = Pictures(pictures(12, 0).grey, np.array([str(number) for number in range(12)]))
    settings = DrawingSettings(hidden_size=4, conditional=True)
    predictor = DrawingPredictor.untrained(PictureDivision(some, some, some, 255), settings, 1)
    assert predictor.classes == tuple(str(number) for number in range(12))


# --- the model folder ----------------------------------------------------------------------


@pytest.fixture
def folder(make_draw, tmp_path):
    predictor = make_draw(conditional=True).predictor
    predictor.data = PictureDataSettings(name="digits", limit=5)
    model_folder.save(predictor, tmp_path / "model", "# A card\n")
    return tmp_path / "model"


def changed(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    with pytest.raises(ModelFolderError) as error:
        model_folder.load(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", [*KINDS, {"cell": "gru", "window": 1, "dropout": 0.3}])
def test_a_model_comes_back_as_it_was(make_draw, pictures, tmp_path, same_weights, kind):
    binarisation = BinarisationSettings(seed=7)
    predictor = make_draw(binarisation=binarisation, **kind).predictor
    predictor.data = PictureDataSettings(name="digits", limit=5)
    model_folder.save(predictor, tmp_path / "model", "card")
    loaded = model_folder.load(tmp_path / "model")
    assert same_weights(loaded.model, predictor.model)
    assert not loaded.model.training
    assert loaded.description() == predictor.description()
    examples = pictures(9, 5)
    assert loaded.evaluate(examples, "x") == predictor.evaluate(examples, "x")
    values = predictor.values(examples.grey)
    targets = predictor.targets(examples.labels, "x")
    drawn = (each.complete(values, 2, 2, targets=targets) for each in (loaded, predictor))
    assert np.array_equal(*drawn)


def test_a_config_that_does_not_fit(folder):
    config = json.loads((folder / "config.json").read_text())
    assert "above.weight has shape [8, 7], expected [8, 5] from config.json" in changed(
        folder, model={**config["model"], "window": 2}
    )
    assert "row_places has shape [4, 8], expected [5, 8]" in changed(
        folder, num_rows=5, picture=None, model=config["model"]
    )
    picture = {"rows": 4, "columns": 4, "box": 4, "brightest": 255}
    message = changed(folder, num_rows=4, picture=picture)
    assert "picture is 4 x 4, expected 4 x 5 as num_rows and num_columns" in message
    message = changed(folder, picture=None, classes=None)
    assert "classes belong to a conditional model, and to no other" in message


def test_sizes_that_would_need_terabytes_are_refused_without_taking_memory(folder):
    config = json.loads((folder / "config.json").read_text())
    message = changed(
        folder,
        num_rows=65536,
        picture=None,
        model={**config["model"], "hidden_size": 65536, "num_sweeps": 64},
    )
    assert "does not fit config.json" in message
    assert "num_rows = 65537" in changed(folder, num_rows=65537, model=config["model"])


def test_a_vocabulary_is_none_of_its_own(folder):
    (folder / "vocabulary.json").write_text("{}")
    with pytest.raises(ModelFolderError):
        model_folder.load(folder)


def test_the_card(make_draw):
    card = model_card.write(make_draw(conditional=True).predictor, {"loss": 8.0})
    for words in (
        "# A network that draws trained on data in memory",
        "draws 4 x 5 pictures in black and white, of any of 2 kinds, pixel by pixel",
        "nats an image",
        "unspool draw MODEL IMAGE --out PICTURE.png",
    ):
        assert words in card
