"""Traces of the models of every task, held against what the models answer."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unspool import SequenceClassifier, Trace, trace
from unspool.data.sequences import Sequences
from unspool.errors import DataError
from unspool.inspection.tracing import subject, trace_subject
from unspool.nn import GRU, LSTM, levels
from unspool.recipes import recipe
from unspool.tasks import model_folder
from unspool.tasks.classify.predictor import LabelPredictor


def exact(found: Trace) -> bool:
    """Whether h is the layers' own, bit for bit; where torch computes, closely."""
    differences = [layer["largest_difference"] for layer in found.about["layers"].values()]
    known = [difference for difference in differences if difference is not None]
    return bool(known) and max(known) <= (0 if levels.names() else 1e-6)


# --- shapes --------------------------------------------------------------------------------------


def test_the_second_tutorials_intermediate_values():
    """X, its projection, the outputs of 28 steps, and the logits of five images, batch first."""
    named = recipe.load("mnist-notebook").recipe
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20) % 10
    predictor = LabelPredictor.untrained(
        Sequences.from_array(images, labels), named.model, named.seed, normalise="range"
    )
    found = trace(predictor, images[:5])
    shapes = {name: values.shape for name, values in found.items()}
    assert shapes["normalised"] == (5, 28, 28)  # X, (140, 28)
    assert shapes["projection"] == (5, 28, 128)  # (140, 128)
    assert shapes["layer.0.forward.hidden"] == (5, 28, 128)  # 28 of (5, 128)
    assert shapes["layer.0.forward.cell"] == (5, 28, 128)
    assert shapes["layer.0.forward.projection"] == (5, 28, 512)
    assert all(shapes[f"layer.0.forward.gate.{gate}"] == (5, 28, 128) for gate in "ifgo")
    assert shapes["logits"] == (5, 10)
    assert shapes["belief"] == (5, 28, 10)
    assert found["normalised"].reshape(140, 28).max() == 1
    assert exact(found)
    model = predictor.model
    head = nn.functional.linear(
        torch.from_numpy(found["layer.0.forward.hidden"][:, -1]), model.head.weight, model.head.bias
    )
    assert torch.allclose(head, torch.from_numpy(found["logits"]), atol=1e-6)


# --- classify ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_classifier(classifier, sequences, cell, bidirectional):
    predictor = classifier(cell=cell, bidirectional=bidirectional, input_projection=4)
    some = sequences(5, 9)
    found = trace(predictor, some)
    assert exact(found)
    assert found["lengths"].tolist() == some.lengths.tolist()
    expected = predictor.probabilities_by_step(some)
    for belief, after_steps in zip(found["belief"], expected, strict=True):
        assert np.array_equal(belief[: len(after_steps)], after_steps)
        assert (belief[len(after_steps) :] == 0).all()
    logits = torch.from_numpy(found["logits"]).double().softmax(-1).numpy()
    assert np.array_equal(logits, predictor.probabilities(some))
    directions = ("forward", "backward") if bidirectional else ("forward",)
    assert [name for name in found if name.endswith("hidden")] == [
        f"layer.{layer}.{direction}.hidden" for layer in (0, 1) for direction in directions
    ]
    past = np.arange(found["input"].shape[1]) >= some.lengths[:, None]
    for name, array in found.arrays.items():
        assert np.isfinite(array.values).all()
        if array.axes.startswith("(B, T"):
            assert (array.values[past] == 0).all(), name


def test_each_sequence_is_as_if_alone(classifier, sequences):
    predictor, some = classifier(bidirectional=True), sequences(5, 9)
    together = trace(predictor, some)
    for number in range(5):
        alone = trace(predictor, some.take([number]))
        length = int(some.lengths[number])
        for name, array in alone.arrays.items():
            other = together[name][number]
            mine = other[:length] if array.axes.startswith("(B, T") else other
            assert np.allclose(array.values[0], mine, atol=1e-6), name


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ((1, 4), slice(1, 4)),
        (range(2), slice(2)),
        (slice(3), slice(3)),
        ((3, None), slice(3, None)),
        ((None, 3), slice(3)),
        ((np.int64(1), np.int64(4)), slice(1, 4)),
    ],
)
def test_some_steps_and_layers(classifier, sequences, steps, kept):
    predictor, some = classifier(), sequences(5, 9)
    whole, found = trace(predictor, some), trace(predictor, some, steps=steps, layers=[1])
    assert not any(name.startswith("layer.0") for name in found)
    assert exact(found)
    assert json.loads(json.dumps(found.about["steps"])) == list(found.about["steps"])
    for name, array in found.arrays.items():
        other = whole[name][:, kept] if array.axes.startswith("(B, T") else whole[name]
        assert np.array_equal(array.values, other), name


def test_text_is_traced_by_its_tokens(tmp_path):
    texts = ["good film", "bad film", "so good", "so bad"] * 5
    estimator = SequenceClassifier(hidden_size=4, epochs=1, unit="word", random_state=0)
    estimator.fit(texts, ["+", "-"] * 10)
    found = trace(estimator, ["so bad", "film"])
    assert found.about["tokens"] == [["so", "bad"], ["film"]]
    assert found["embedding"].shape == (2, 2, 32)
    assert "normalised" not in found
    estimator.save(tmp_path / "model")
    again = trace(tmp_path / "model", ["so bad", "film"])
    assert all(np.array_equal(again[name], found[name]) for name in found)
    (tmp_path / "own.txt").write_text("so bad\nfilm\n")
    from_file = trace(str(tmp_path / "model"), tmp_path / "own.txt")
    assert np.array_equal(from_file["belief"], found["belief"])


def test_arrays_and_lists_as_the_estimator_takes_them(classifier):
    predictor = classifier()
    values = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    found = trace(predictor, values)
    for same in (values.tolist(), list(values), torch.from_numpy(values)):
        assert np.array_equal(trace(predictor, same)["logits"], found["logits"])
    assert np.allclose(trace(predictor, values[0])["logits"], found["logits"][:1], atol=1e-6)
    ragged = trace(predictor, [values[0], values[1, :2]])
    assert ragged["lengths"].tolist() == [4, 2]


# --- predict -------------------------------------------------------------------------------------


def test_a_language_model(language_model):
    predictor = language_model()
    texts = ["the mice met", "the"]
    found = trace(predictor, texts)
    assert exact(found)
    assert found["lengths"].tolist() == [4, 2]
    assert found.about["tokens"][1] == [predictor.label(predictor.vocabulary.start), "the"]
    for number, text in enumerate(texts):
        last = found["lengths"][number] - 1
        expected = predictor.next_tokens(predictor.read(text), 5)["top"]
        best = found["candidates"][number, last, :5].tolist()
        assert [predictor.label(token) for token in best] == [each["label"] for each in expected]
        shares = [each["probability"] for each in expected]
        assert np.allclose(found["belief"][number, last, :5], shares, rtol=1e-5)
    assert (found["belief"][1, 2:] == 0).all()
    assert np.allclose(np.exp(found["log_probabilities"][0]).sum(-1), 1, atol=1e-6)


def test_a_model_of_windows_shows_its_last_window(language_model):
    predictor = language_model(view="windows", context=3)
    found = trace(predictor, "the mice met in the old barn")
    assert found.about["tokens"] == [["the", "old", "barn"]]
    assert "last 3 tokens" in found.about["note"]
    assert trace(predictor, "")["input"].shape == (1, 1)


def test_of_a_large_vocabulary_the_likeliest_are_kept(language_model, monkeypatch):
    from unspool.inspection.subjects import subject as subjects

    monkeypatch.setattr(subjects, "WHOLE_VOCABULARY", 3)
    monkeypatch.setattr(subjects, "CANDIDATES", 4)
    found = trace(language_model(), "the mice")
    assert "log_probabilities" not in found
    assert found["candidates"].shape == found["belief"].shape == (1, 3, 4)
    assert (np.diff(found["belief"]) <= 0).all()


# --- translate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    "settings",
    [
        {"bidirectional": True},
        {"reverse_source": True, "num_encoder_layers": 2, "num_decoder_layers": 2},
        {"input_feeding": True, "num_decoder_layers": 2},
    ],
)
def test_an_encoder_decoder(pair_model, cell, settings):
    predictor = pair_model(cell=cell, **settings)
    texts = ["abcd", "a"]
    found = trace(predictor, texts)
    assert exact(found)
    for number, (best, *_) in enumerate(predictor.translate(texts)):
        assert found.about["answers"][number] == best.text
        steps, columns = best.attention.shape
        kept = found["attention"][number, :steps, :columns]
        assert np.allclose(kept, best.attention.numpy(), atol=1e-5)
    groups = {name.partition(".layer")[0] for name in found if ".layer." in name}
    assert groups == {"encoder", "decoder"}
    layers = settings.get("num_decoder_layers", 1)
    assert f"decoder.layer.{layers - 1}.forward.hidden" in found


def test_with_input_feeding_the_layers_end_where_the_decoder_ended(pair_model):
    """Run again over all steps, they come to the states that it reached step by step."""
    predictor = pair_model(cell="lstm", input_feeding=True, num_decoder_layers=2)
    read = subject(predictor, ["abcd"])
    found = trace_subject(read)
    with torch.inference_mode():
        memory = read.model.encode(read.source, read.source_lengths)
        state = read.model.read(read.target, read.model.initial_state(memory)).state
    for number, (h, c) in enumerate(state.layers):
        name = f"decoder.layer.{number}.forward"
        assert np.allclose(found[f"{name}.hidden"][0, -1], h[0].numpy(), atol=1e-6)
        assert np.allclose(found[f"{name}.cell"][0, -1], c[0].numpy(), atol=1e-6)


# --- draw ----------------------------------------------------------------------------------------


def test_a_drawing_model(drawing_model, pictures):
    found = trace(drawing_model, pictures[:2])
    assert exact(found)
    assert found["down.layer.0.forward.hidden"].shape == (2 * 6, 8, 6)
    assert found["across.layer.0.backward.hidden"].shape == (8 * 2, 6, 3)
    assert found["along.layer.0.forward.hidden"].shape == (8 * 2, 6, 6)
    assert found.arrays["down.layer.0.forward.hidden"].axes == "(B·C, T, H)"
    expected = drawing_model.log_likelihoods(drawing_model.values(pictures[:2]))
    assert np.allclose(found["log_likelihood"].sum(2), expected, atol=1e-5)


# --- networks ------------------------------------------------------------------------------------


def test_any_network_with_layers_of_ours():
    torch.manual_seed(0)
    network = nn.ModuleDict({"reader": GRU(3, 4, batch_first=True)})
    network.forward = lambda x: {"last": network["reader"](x)[0][:, -1]}
    found = trace(network.train(), np.ones((2, 5, 3)))
    assert found["output.last"].shape == (2, 4)
    assert np.array_equal(found["layer.0.forward.hidden"][:, -1], found["output.last"])
    assert network.training
    assert exact(found)


def test_what_cannot_be_traced():
    with pytest.raises(DataError, match=r"no recurrent layer of unspool\.nn"):
        trace(nn.LSTM(3, 4), np.ones((5, 2, 3)))
    with pytest.raises(DataError, match="call its fit first"):
        trace(SequenceClassifier(), np.ones((5, 2, 3)))
    with pytest.raises(DataError, match="expected a model folder"):
        trace(3, [1])
    with pytest.raises(DataError, match="the input is text"):
        trace(GRU(3, 4), "text")
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        trace(GRU(3, 4), np.ones(3))


# --- bounds --------------------------------------------------------------------------------------


def test_memory_is_estimated_before_anything_is_computed(classifier, sequences, monkeypatch):
    predictor, some = classifier(hidden_size=64), sequences(20, 9)
    monkeypatch.setattr(predictor.model, "forward", pytest.fail)
    with pytest.raises(DataError, match=r"would take [\d.]+ KiB, expected at most 2\.0 KiB; keep"):
        trace(predictor, some, max_bytes=2048)


@pytest.mark.parametrize("kept", [{}, {"layers": [0]}, {"steps": (0, 2)}])
def test_the_estimate_bounds_what_is_kept(classifier, sequences, kept):
    predictor, some = classifier(hidden_size=16, bidirectional=True), sequences(20, 9)
    size = trace(predictor, some, **kept).nbytes
    assert trace(predictor, some, **kept, max_bytes=6 * size).nbytes == size
    with pytest.raises(DataError, match="would take"):
        trace(predictor, some, **kept, max_bytes=size - 1)


def test_layers_and_steps_that_there_are_not(classifier, sequences):
    predictor, some = classifier(), sequences(4, 9)
    with pytest.raises(DataError, match="layers has 2, 7, expected some of 0, 1"):
        trace(predictor, some, layers=[0, 2, 7])
    with pytest.raises(DataError, match="layers has none"):
        trace(predictor, some, layers=[])
    with pytest.raises(DataError, match="expected some of the sequences' 7 steps"):
        trace(predictor, some, steps=(50, None))
    for steps in ((3, 3), (-1, 2), slice(0, 4, 2), ("a", 3), (0, "b"), (0, 2.5), "ab", (1, 2, 3)):
        with pytest.raises(DataError, match="steps has"):
            trace(predictor, some, steps=steps)


def test_inputs_of_another_kind(classifier, language_model, pair_model):
    with pytest.raises(DataError, match="has 2 features a step, expected 3"):
        trace(classifier(), np.ones((1, 4, 2)))
    with pytest.raises(DataError, match="holds no sequences"):
        trace(classifier(), np.ones((0, 4, 3)))
    for predictor in (language_model(), pair_model()):
        with pytest.raises(DataError, match="expected a text"):
            trace(predictor, np.ones((1, 4, 2)))
    with pytest.raises(DataError):
        trace(classifier(), "no-such-file.npy")


def test_a_picture_that_shows_nothing(picture_classifier, tmp_path):
    picture_classifier.picture = None  # as of models that were made before they knew pictures
    for grey, word in ((255, "white"), (0, "black"), (90, "grey, 90")):
        Image.new("L", (6, 8), grey).save(tmp_path / "blank.png")
        with pytest.raises(DataError, match=f"is all {word}, expected a picture of something"):
            trace(picture_classifier, tmp_path / "blank.png")


def test_a_model_folder(digits_run):
    found = trace(digits_run, np.zeros((1, 8, 8)))
    again = trace(model_folder.load(digits_run), np.zeros((1, 8, 8)))
    assert np.array_equal(found["belief"], again["belief"])


def test_a_layer_takes_time_first():
    layer = LSTM(3, 4)
    found = trace(layer, np.ones((5, 2, 3)))
    assert found["layer.0.forward.hidden"].shape == (2, 5, 4)
