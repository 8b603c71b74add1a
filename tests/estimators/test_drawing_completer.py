import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import unspool
from unspool import DrawingCompleter
from unspool.errors import DataError, RecipeError


def bars_of(count: int, seed: int = 0, white: float = 16.0):
    """Bars across and down, and some noise: pictures ``(N, 4, 5)`` and what they show."""
    random = np.random.default_rng(seed)
    X = random.uniform(0, white / 8, (count, 4, 5))
    y = np.array(["across", "down"])[np.arange(count) % 2]
    for picture, kind in zip(X, y, strict=True):
        if kind == "across":
            picture[random.integers(4)] = white
        else:
            picture[:, random.integers(5)] = white
    return X, y


def small(**parameters) -> DrawingCompleter:
    defaults = {"hidden_size": 8, "num_sweeps": 1, "num_layers": 1, "epochs": 2, "random_state": 0}
    return DrawingCompleter(**{**defaults, **parameters})


X, Y = bars_of(60)


@pytest.fixture(scope="module")
def fitted():
    return small(epochs=12, learning_rate=0.03).fit(X)


@pytest.fixture(scope="module")
def conditional():
    return small(conditional=True, pixels="grey", num_mixtures=2).fit(X, Y)


def test_it_tells_how_likely_pictures_are(fitted):
    found = fitted.score_samples(X)
    assert found.shape == (60,)
    assert np.array_equal(found, fitted.score_samples(X))
    assert fitted.score(X) == pytest.approx(found.mean())
    random = np.random.default_rng(0)
    shuffled = random.permuted(X.reshape(60, -1), axis=1).reshape(X.shape)
    assert fitted.score(X) > fitted.score(shuffled) + 3


def test_what_is_told_of_a_picture_does_not_depend_on_its_place(fitted):
    grey = X * np.random.default_rng(1).random(X.shape)
    found = fitted.score_samples(grey)
    np.testing.assert_allclose(fitted.score_samples(grey[::-1])[::-1], found, rtol=1e-5)
    np.testing.assert_allclose(fitted.score_samples(grey[7:9]), found[7:9], rtol=1e-5)
    assert not np.allclose(found, fitted.score_samples(X), rtol=1e-3)


def test_the_likelihoods_of_all_pictures_add_up_to_one():
    completer = small().fit(X[:, :2, :3])
    every = (np.arange(64)[:, None] >> np.arange(6) & 1).reshape(64, 2, 3) * 16.0
    assert np.exp(completer.score_samples(every)).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_completions_begin_with_what_is_given(fitted, rows):
    black_and_white = X[:5].round(-1).clip(0, 10) * 1.6
    drawn = fitted.complete(black_and_white, rows, 6, random_state=0)
    assert drawn.shape == (5, 6, 4, 5)
    assert set(np.unique(drawn)) <= {0.0, 16.0}
    kept = np.repeat(black_and_white[:, None, :rows], 6, axis=1)
    assert np.array_equal(drawn[:, :, :rows], kept)
    assert np.array_equal(drawn, fitted.complete(black_and_white, rows, 6, random_state=0))


def test_samples(fitted, conditional):
    drawn = fitted.sample(30, random_state=1)
    assert drawn.shape == (30, 4, 5)
    assert len(np.unique(drawn, axis=0)) > 10
    assert np.array_equal(fitted.sample(10, random_state=1), drawn[:10])
    same = fitted.sample(4, temperature=0)
    assert (same == same[0]).all()
    grey = conditional.sample(2, y=["across", "down"], random_state=1)
    assert grey.max() <= conditional.white_ == 16
    assert len(np.unique(grey)) > 10


def test_a_conditional_network_has_classes_and_wants_labels(conditional):
    assert conditional.classes_.tolist() == ["across", "down"]
    assert conditional.score_samples(X, Y).shape == (60,)
    assert conditional.complete(X[:2], 2, y=Y[:2]).shape == (2, 1, 4, 5)
    with pytest.raises(DataError, match="y is None for a conditional network"):
        conditional.score(X)
    with pytest.raises(DataError, match=r"y has shape \(3,\), expected 60 labels, one a picture"):
        conditional.score(X, Y[:3])
    with pytest.raises(DataError, match="y has the label 'dot', never seen in training"):
        conditional.sample(1, y=["dot"])
    with pytest.raises(DataError, match="fit requires y"):
        small(conditional=True).fit(X)


def test_labels_are_of_no_use_to_another(fitted):
    assert fitted.score(X, Y) == fitted.score(X)
    assert not hasattr(fitted, "classes_")


def test_labels_keep_their_type():
    numbers = np.arange(60) % 3 + 8
    completer = small(conditional=True, epochs=1).fit(X, numbers)
    assert completer.classes_.tolist() == [8, 9, 10]
    assert completer.sample(1, y=[9]).shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (X[0], r"X has shape \(4, 5\), expected \(pictures, rows, columns\)"),
        (X[:0], r"X has shape \(0, 4, 5\)"),
        (X * np.nan, "X has values that are not finite"),
        (1 - X, "X: a pixel has the value -.*, expected brightness"),
        (X.astype(str), "X has type .*, expected numbers"),
        (X * 0, "X is black all over"),
    ],
)
def test_what_are_no_pictures(pictures, message):
    with pytest.raises(DataError, match=message):
        small().fit(pictures)


def test_what_does_not_fit_the_network(fitted):
    with pytest.raises(DataError, match="X has pictures of 3 x 5 pixels, expected 4 x 5"):
        fitted.score(X[:, :3])
    with pytest.raises(DataError, match="rows = 5, expected 0 to 4"):
        fitted.complete(X, 5)
    with pytest.raises(DataError, match="0 samples, expected 1 or more"):
        fitted.complete(X, 2, 0)
    with pytest.raises(DataError, match="temperature = -1, expected 0 or more"):
        fitted.sample(temperature=-1)


def test_wrong_parameters_are_told_at_once_by_their_own_names():
    with pytest.raises(RecipeError) as error:
        small(hidden_size=7, pixels="colour", binarisation="dots", white=-1).fit(X)
    for name in ("hidden_size = 7", "pixels = 'colour'", "binarisation = 'dots'", "white = -1"):
        assert name in str(error.value)


@pytest.mark.parametrize("method", ["score", "score_samples"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(small(), method)(X)
    with pytest.raises(NotFittedError):
        small().sample()


def test_a_folder_brings_it_back(fitted, conditional, tmp_path):
    for number, completer in enumerate((fitted, conditional)):
        completer.save(tmp_path / str(number))
        loaded = unspool.load(tmp_path / str(number))
        assert isinstance(loaded, DrawingCompleter)
        y = Y if completer is conditional else None
        assert np.array_equal(loaded.score_samples(X, y), completer.score_samples(X, y))
        assert loaded.white_ == 16
        own = completer.get_params()
        kept = {"cell", "hidden_size", "num_layers", "num_sweeps", "window", "pixels"}
        assert {name: loaded.get_params()[name] for name in kept} == {n: own[n] for n in kept}
        loaded.set_params(epochs=1).fit(X, Y)  # its parameters are those of such a network


def test_scikit_learn_s_tools_take_it():
    search = GridSearchCV(small(epochs=1), {"cell": ["gru", "rnn"]}, cv=2, error_score="raise")
    search.fit(X)
    assert search.best_params_["cell"] in ("gru", "rnn")
    copied = clone(search.best_estimator_)
    assert not hasattr(copied, "predictor_")


def test_one_random_state_makes_one_network():
    one, again, other = (small(random_state=seed).fit(X).score(X) for seed in (3, 3, 4))
    assert one == again
    assert one != other
