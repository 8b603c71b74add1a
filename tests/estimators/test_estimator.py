"""What all estimators do alike."""

import inspect
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from unspool import (
    DrawingCompleter,
    LanguageModel,
    RecipeError,
    Seq2Seq,
    SequenceClassifier,
    UnspoolError,
)

DATA = {
    DrawingCompleter: (np.eye(3)[None].repeat(4, 0), None),
    LanguageModel: (["the cat sings"] * 4, None),
    Seq2Seq: (["the cat"] * 4, ["le chat"] * 4),
    SequenceClassifier: (np.zeros((4, 3)), [0, 1, 0, 1]),
}

estimators = pytest.mark.parametrize("kind", DATA)


def parameters_of(kind) -> list[str]:
    return list(inspect.signature(kind).parameters)


@estimators
def test_only_cell_and_sizes_may_be_given_without_a_name(kind):
    free = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert free == ["cell", "hidden_size", "num_layers"]
    model = kind("gru", 5, 2)
    assert (model.cell, model.hidden_size, model.num_layers) == ("gru", 5, 2)


@estimators
def test_every_parameter_is_documented(kind):
    section = kind.__doc__.partition("Parameters\n")[2].partition("Attributes\n")[0]
    documented = re.findall(r"^    (\w[\w, ]*?) : ", section, re.MULTILINE)
    names = [name for line in documented for name in line.split(", ")]
    assert sorted(names) == sorted(parameters_of(kind))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in DATA for name in parameters_of(kind)]
)
def test_every_parameter_is_checked_and_called_by_its_name(kind, name):
    error, message = RecipeError, rf"{kind.__name__}: {name}\b.*expected"
    if name == "random_state":
        error, message = ValueError, "cannot be used to seed"
    with pytest.raises(error, match=message):
        kind(**{name: object()}).fit(*DATA[kind])


@estimators
def test_a_device_that_is_not_here(kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UnspoolError, match="device 'cuda': torch finds no GPU here"):
        kind(device="cuda").fit(*DATA[kind])


@estimators
def test_what_is_watched_has_to_be_held_back(kind):
    for waiting in ({"patience": 2}, {"schedule": "plateau"}, {"optimizer": "nt-asgd"}):
        with pytest.raises(RecipeError, match="expected validation_fraction above 0"):
            kind(**waiting).fit(*DATA[kind])


@estimators
def test_a_line_an_epoch_where_asked_for(kind, capsys):
    model = kind(hidden_size=2, epochs=2, verbose=True, random_state=0).fit(*DATA[kind])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [["epoch 1", "train"], ["epoch 2", "train"]]
    assert [record["epoch"] for record in model.history_] == [1, 2]


@estimators
def test_nothing_is_saved_before_fit(kind, tmp_path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        kind().save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_threads_do_not_change_what_is_learned(small, data):
    """Dropout is drawn from a generator that all threads share."""
    model = small(num_layers=2, dropout=0.5, epochs=3)
    alone = clone(model).fit(data.x, data.y).predict_proba(data.x)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        fits = [pool.submit(clone(model).fit, data.x, data.y) for _ in range(3)]
    for fit in fits:
        assert np.array_equal(fit.result().predict_proba(data.x), alone)
    assert torch.equal(torch.get_rng_state(), before)
