import io

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.decomposition import PCA

from unspool.data.pair_codecs import PairVocabularySettings, fit_codecs
from unspool.data.pairs import Pairs
from unspool.errors import DataError
from unspool.inspection.pictures.sentences import sentence_map
from unspool.inspection.sentences import principal_plane, sentence_vectors
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.tasks.translate.predictor import PairPredictor

TEXTS = ("mary admires john", "john admires mary", "", "mary", "john is admired by mary", "mary")


def predictor(**settings) -> PairPredictor:
    codecs = fit_codecs(Pairs(TEXTS, TEXTS), PairVocabularySettings())
    sizes = {"hidden_size": 6, **settings}
    return PairPredictor.untrained(codecs, EncoderDecoderSettings(**sizes), seed=1)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"num_encoder_layers": 2}, 2 * 2 * 6),
        ({"cell": "gru", "bidirectional": True}, 2 * 6),
        ({"cell": "rnn", "reverse_source": True}, 6),
    ],
)
def test_a_vector_is_the_final_state_of_a_text_read_alone(settings, size, monkeypatch):
    monkeypatch.setattr("unspool.inspection.sentences._AT_A_TIME", 2)
    network = predictor(**settings)
    found = sentence_vectors(network, TEXTS)
    assert found.shape == (len(TEXTS), size)
    for text, vector in zip(TEXTS, found, strict=True):
        tokens = torch.tensor([[*network.codecs.source.encode(text).tolist(), 2]])
        with torch.no_grad():
            expected = network.model.encode(tokens).sentence[0]
        np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found[3], found[5])
    assert not np.allclose(found[0], found[1])


def test_the_plane_is_that_of_principal_components():
    vectors = np.random.default_rng(0).normal(size=(9, 5)) * [5, 1, 0.2, 3, 1] + 7
    found, other = principal_plane(vectors), PCA(2).fit(vectors)
    expected = other.transform(vectors)
    for ours, theirs in zip(found.points.T, expected.T, strict=True):
        np.testing.assert_allclose(ours, theirs * np.sign(ours @ theirs), atol=1e-10)
    np.testing.assert_allclose(found.explained, other.explained_variance_ratio_)
    for order in (vectors[::-1], vectors + 3):
        np.testing.assert_allclose(
            np.sort(principal_plane(order).points, 0), np.sort(found.points, 0)
        )


def test_fewer_directions_than_a_plane_has():
    found = principal_plane(np.array([[1.0, 2], [3, 2]]))
    np.testing.assert_allclose(found.points, [[-1, 0], [1, 0]], atol=1e-12)
    assert found.explained.tolist() == [1, 0]
    same = principal_plane(np.ones((3, 1)))
    assert not same.points.any()
    assert not same.explained.any()


def test_too_few_texts():
    with pytest.raises(DataError, match="there are no texts, expected at least one"):
        sentence_vectors(predictor(), [])
    with pytest.raises(DataError, match="1 sentence vector, expected at least two"):
        principal_plane(np.ones((1, 4)))


@pytest.mark.parametrize("groups", [None, ["passive", "$x_", "", "a", "b", "c"]])
def test_sentences_are_drawn(groups):
    texts = ["$\\frac$ two\nlines", "数字", "a" * 300, *TEXTS[:3]]
    plane = principal_plane(np.random.default_rng(1).normal(size=(6, 3)))
    picture = Image.open(io.BytesIO(sentence_map(texts, plane, groups, "A [title] $of$ mine")))
    picture.load()
    assert picture.format == "PNG"
    assert 300 < min(picture.size) <= max(picture.size) <= 1600
    pixels = np.asarray(picture).reshape(-1, 3)
    reds = (np.abs(pixels.astype(int) - (0xD5, 0x5E, 0x00)).sum(1) < 12).sum()
    assert (reds > 50) == (groups is not None)  # the second group's colour


def test_a_map_of_many_sentences_names_the_first_ones():
    plane = principal_plane(np.random.default_rng(2).normal(size=(200, 3)))
    assert sentence_map(["text"] * 200, plane) == sentence_map(
        [*["text"] * 40, *["other"] * 160], plane
    )
