"""Every picture of a trace opens, is small, and shows what it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool import trace
from unspool.data.pictures import PictureDivision, Pictures
from unspool.inspection import inspecting
from unspool.inspection.explaining import explain
from unspool.inspection.inspecting import Wishes, inspect
from unspool.inspection.neighbours import Neighbour
from unspool.inspection.pictures import neighbours as neighbour_pictures
from unspool.inspection.pictures.attention import attention_matrix
from unspool.inspection.pictures.attribution import attribution_picture, laid_out
from unspool.inspection.pictures.belief import belief_moving, belief_over_time
from unspool.inspection.pictures.candidates import Guess, candidate_table
from unspool.inspection.pictures.gates import gate_maps, like_units_together
from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.places import by_place, gates_by_place
from unspool.inspection.pictures.style import shown, spread
from unspool.inspection.tracing import subject
from unspool.models.drawing import DrawingSettings
from unspool.tasks.draw.predictor import DrawingPredictor

ODD_NAMES = ["$x_", "$\\frac$", "数字", "a" * 300, "two\nlines", "", "😀", "\x07", " "]


def test_the_belief_about_a_picture(picture_classifier, pictures, check_picture):
    found = trace(picture_classifier, pictures[:2])
    check_picture(belief_over_time(found, 1))
    moving = check_picture(belief_moving(found, 1))
    assert (moving.format, moving.n_frames) == ("GIF", 8)


def test_what_was_read_is_seen_in_the_moving_picture(picture_classifier, check_picture):
    picture = np.full((1, 8, 6), 255, np.uint8)
    picture[:, :, 0] = 0
    found = trace(picture_classifier, picture)
    moving = check_picture(belief_moving(found))
    ink = []
    for frame in range(8):
        moving.seek(frame)
        left = np.asarray(moving.convert("L"))[30:240, 20:210]
        ink.append(int((left < 60).sum()))
    assert ink == sorted(ink)
    assert ink[-1] > 5 * ink[0] > 0


def test_the_belief_about_a_series_and_about_a_text(classifier, sequences, check_picture):
    found = trace(classifier(), sequences(3, 9))
    for number in range(3):
        check_picture(belief_over_time(found, number))
    cut = trace(classifier(), sequences(3, 9), steps=(1, 2))
    check_picture(belief_over_time(cut, 0))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gates(classifier, sequences, check_picture, cell):
    found = trace(classifier(cell=cell, bidirectional=True), sequences(3, 9))
    check_picture(gate_maps(found, "layer.1.forward", 2))
    check_picture(gate_maps(found, "layer.0.backward", 0))


def test_gates_of_many_units_and_long_texts(language_model, check_picture):
    found = trace(language_model(unit="character", hidden_size=140), "the mice met " * 20)
    check_picture(gate_maps(found, "layer.0.forward"))


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_order_of_units_loses_none(steps, units, seed):
    hidden = np.random.default_rng(seed).normal(size=(steps, units))
    assert sorted(like_units_together(hidden).tolist()) == list(range(units))


def test_attention(check_picture):
    random = np.random.default_rng(0)
    weights = random.dirichlet(np.ones(9), 4)
    check_picture(attention_matrix(weights, ODD_NAMES, ["a", "b", "c", "d"], "title → $x"))
    check_picture(attention_matrix(np.ones((1, 1)), ["a"], ["b"]))
    large = random.dirichlet(np.ones(120), 80)
    check_picture(attention_matrix(large, ["wörd"] * 120, ["word"] * 80))


def test_candidates(check_picture):
    guesses = [[Guess(name, 0.5), Guess("b", 0.25)] for name in ODD_NAMES]
    check_picture(candidate_table(ODD_NAMES, guesses, "what may come", first=12))
    check_picture(candidate_table(["a"] * 200, [[Guess("a", 1.0)]] * 200))


def test_attributions(
    picture_classifier, pictures, classifier, sequences, language_model, check_picture
):
    for predictor, given_ in (
        (picture_classifier, pictures),
        (classifier(), sequences(2, 3)),
        (language_model(), ["the mice met in the old barn " * 6, "the"]),
    ):
        read, found = subject(predictor, given_), trace(predictor, given_)
        explained = explain(read, 0)
        check_picture(
            attribution_picture(
                SeenInput(found, 0), explained.attribution.values, "$answer", explained.note
            )
        )


def test_neighbours(picture_classifier, pictures, sequences, check_picture):
    from unspool.data.sequences import Sequences

    training = Sequences.from_array(pictures)
    found = [Neighbour(place, 0.9, name) for place, name in enumerate(ODD_NAMES)]
    seen = SeenInput(trace(picture_classifier, pictures[:1]), 0)
    check_picture(neighbour_pictures.neighbouring_sequences(seen, "$a", found, training))
    texts = [Neighbour(0, 0.5, name, name * 9) for name in ODD_NAMES]
    check_picture(neighbour_pictures.neighbouring_texts("$the text" * 30, texts))


def test_an_inspection_of_each_task(
    picture_classifier,
    pictures,
    language_model,
    pair_model,
    drawing_model,
    check_picture,
    tmp_path,
    monkeypatch,
):
    monkeypatch.setattr(inspecting, "MOST_PICTURED", 1)
    for number, (predictor, given_, expected) in enumerate(
        [
            (
                picture_classifier,
                pictures,
                {
                    "0/belief.png",
                    "0/belief.gif",
                    "0/gates-layer-0.png",
                    "0/attribution.png",
                },
            ),
            (
                language_model(unit="character"),
                "the mice met in the old barn " * 4,
                {"candidates.png", "gates-layer-0.png", "gates-layer-1.png", "attribution.png"},
            ),
            (
                pair_model(bidirectional=True),
                "abcd",
                {
                    "attention.png",
                    "gates-encoder-layer-0.png",
                    "gates-encoder-layer-0-backward.png",
                    "gates-decoder-layer-0.png",
                },
            ),
            (
                drawing_model,
                pictures[0],
                {
                    "surprise.png",
                    "gates-down-layer-0.png",
                    "gates-across-layer-0.png",
                    "gates-across-layer-0-backward.png",
                    "gates-along-layer-0.png",
                },
            ),
        ]
    ):
        found = inspect(predictor, given_)
        assert set(found.pictures) - {"units.png"} == expected
        assert ("units.png" in found.pictures) == ("units" in found.findings)
        for picture in found.pictures.values():
            check_picture(picture)
        found.save(tmp_path / str(number))
        assert all((tmp_path / str(number) / name).is_file() for name in found.pictures)
        assert (tmp_path / str(number) / "trace.json").is_file()


@pytest.mark.parametrize("layer", ["down.layer.0.forward", "across.layer.0.backward"])
def test_what_is_at_a_place_is_of_its_picture_alone(drawing_model, pictures, layer):
    pictures = np.where(pictures > 127, 255, 0).astype(np.uint8)  # nothing is left to chance
    together, alone = trace(drawing_model, pictures[:3]), trace(drawing_model, pictures[1])
    name = f"{layer}.hidden"
    found = by_place(together[name], layer, 3, 1)
    assert found.shape[:2] == pictures[1].shape
    assert np.allclose(found, by_place(alone[name], layer, 1, 0), atol=1e-6)
    if layer.startswith("down"):  # what is below has not been read
        changed = pictures[1].copy()
        changed[4:] = 255 - changed[4:]
        other = by_place(trace(drawing_model, changed)[name], layer, 1, 0)
        assert np.allclose(found[:5], other[:5], atol=1e-6)
        assert not np.allclose(found[5:], other[5:], atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_gates_by_place_of_every_cell(pictures, cell, check_picture):
    settings = DrawingSettings(cell=cell, hidden_size=2, num_sweeps=1, num_row_layers=1)
    part = Pictures(pictures)
    predictor = DrawingPredictor.untrained(PictureDivision(part, part, part, 255), settings, 1)
    found = trace(predictor, pictures[:2], steps=(1, 4))
    for layer in inspecting.layers_of(found):
        check_picture(gates_by_place(found, pictures[1], layer, 1))


def test_three_sentences_are_compared_two_are_not(pair_model, check_picture):
    texts = ["abc", "cba", "bad"]
    assert "sentences.png" not in inspect(pair_model(), texts[:2]).pictures
    check_picture(inspect(pair_model(), texts).pictures["sentences.png"])


def test_only_some_layers_and_steps(language_model, check_picture):
    found = inspect(language_model(), "the mice met in the barn", Wishes(layers=(1,), steps=(2, 5)))
    assert "gates-layer-0.png" not in found.pictures
    assert found.trace["layer.1.forward.hidden"].shape == (1, 3, 7)


def test_tokens_are_shown_as_they_can_be_seen():
    assert [shown(name) for name in (" ", "\n", "\t", "\x07", "ä")] == ["␣", "↵", "⇥", "�", "ä"]
    assert shown("a" * 99) == f"{'a' * 15}…"


def test_lines_of_text_are_full_but_not_fuller():
    places = laid_out(["word"] * 40)
    assert max(column + wide for _, column, wide in places) <= 72
    assert [line for line, _, _ in places] == sorted(line for line, _, _ in places)
    assert len(set(places)) == 40


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_do_not_cover_each_other(heights):
    places = spread(heights, 0.1, -1, 2)
    assert (np.diff(np.sort(places)) >= 0.1 - 1e-6).all()
    order = np.argsort(heights, kind="stable")
    assert (np.diff(places[order]) >= 0).all()
