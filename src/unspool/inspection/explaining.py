"""Explains an answer of a model by what was read.

Shapes: ``T`` steps, ``F`` features, ``E`` size of an embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unspool.errors import DataError
from unspool.inspection.attribution import Attribution, integrated_gradients, log_odds
from unspool.inspection.subjects.classifying import Classification
from unspool.inspection.subjects.predicting import Prediction
from unspool.inspection.subjects.subject import Subject


class Explanation(NamedTuple):
    """What speaks for an answer to one sequence.

    Parameters
    ----------
    label : str
        The answer.
    attribution : Attribution
        Of its log-odds, in nats; for text ``(T, 1)``.
    compared_with : str
        What the baseline is.
    """

    label: str
    attribution: Attribution
    compared_with: str

    @property
    def note(self) -> str:
        """In a line: from where to where, and how well the parts add up."""
        found = self.attribution
        return (
            f"log-odds {found.baseline:.2f} nats for {self.compared_with}, {found.output:.2f} for "
            f"this one; the parts add up but for {found.gap:.1g}"
        )

    def finding(self) -> dict[str, Any]:
        """The same for JSON."""
        found = self.attribution
        return {
            "label": self.label,
            "output": found.output,
            "baseline": found.baseline,
            "compared_with": self.compared_with,
            "completeness_gap": found.gap,
            "points": found.points,
            "by_step": found.by_step.tolist(),
        }


@singledispatch
def explain(subject: Subject, number: int, label: str | None = None) -> Explanation:
    """Explain the answer to one of the sequences, or why it might be another.

    Parameters
    ----------
    subject : Subject
    number : int
    label : str, optional
        The answer; the model's own when not given.

    Raises
    ------
    DataError
        If the model has no such answer, or is of a task whose answers cannot be explained.
    """
    del number, label
    predictor = getattr(subject, "predictor", None)
    task = getattr(predictor, "task", None)
    raise DataError(
        f"attribution is for models of tasks 'classify' and 'predict', this one is of task "
        f"{task!r}; leave out attribute"
    )


@explain.register
def _(subject: Classification, number: int, label: str | None = None) -> Explanation:
    model, predictor = subject.model, subject.predictor
    x = subject.sequences.values[subject.sequences.offsets[number] :][
        : subject.sequences.lengths[number]
    ]
    given = torch.from_numpy(x).to(predictor.device)[None]
    with _without_dropout(model):
        with torch.no_grad():
            best = int(model(given)[0].argmax())
        place = best if label is None else _place(predictor.classes, label)
        if model.embedding is not None:
            found = _of_embedded(
                model.embedding,
                given[0, :, 0].long(),
                lambda count: log_odds(model(given.expand(count, -1, -1)), place),
            )
            return Explanation(predictor.classes[place], found, "embeddings of zeros")
        input = given[0].to(model.scale.dtype)
        blank = given.dtype == torch.uint8
        baseline = torch.zeros_like(input) if blank else model.centre.expand_as(input)
        found = integrated_gradients(lambda each: log_odds(model(each), place), input, baseline)
    named = "a blank picture" if blank else "the mean of the training data"
    return Explanation(predictor.classes[place], found, named)


@explain.register
def _(subject: Prediction, number: int, label: str | None = None) -> Explanation:
    model, predictor = subject.model, subject.predictor
    length = int(subject.lengths[number])
    tokens = torch.from_numpy(subject.tokens[number, :length]).to(predictor.device)

    def last(count: int) -> Tensor:
        hidden = model(tokens.expand(count, -1)).hidden[:, -1]
        found: Tensor = model.log_probabilities(hidden)
        return found

    with _without_dropout(model):
        with torch.no_grad():
            best = int(last(1)[0].argmax())
        place = best if label is None else _token(subject, label)
        found = _of_embedded(model.embedding, tokens, lambda count: log_odds(last(count), place))
    return Explanation(subject.label(place), found, "embeddings of zeros")


def _of_embedded(embedding: nn.Embedding, tokens: Tensor, output: Any) -> Attribution:
    """Attribute to tokens by way of the numbers that stand for them."""

    def of(embedded: Tensor) -> Tensor:
        with _replaced(embedding, embedded):
            result: Tensor = output(len(embedded))
        return result

    with torch.no_grad():
        embedded = embedding(tokens)  # (T, E)
    found = integrated_gradients(of, embedded, torch.zeros_like(embedded))
    return Attribution(
        found.values.sum(1, keepdims=True), found.output, found.baseline, found.points
    )


@contextmanager
def _replaced(module: nn.Module, result: Tensor) -> Iterator[None]:
    """Have a module give back something else."""
    handle = module.register_forward_hook(lambda *_: result)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    """Evaluate, with gradients for inputs alone."""
    was_training = model.training
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        model.train(was_training)
        for parameter in wanted:
            parameter.requires_grad_()


def _place(classes: tuple[str, ...], label: str) -> int:
    if label not in classes:
        from unspool.tasks.classify.predictor import some

        raise DataError(f"attribute has {label!r}, expected one of the labels {some(classes)}")
    return classes.index(label)


def _token(subject: Prediction, label: str) -> int:
    vocabulary = subject.predictor.vocabulary
    place = vocabulary.tokenizer.token_to_id(label)
    if place is None:
        raise DataError(
            f"attribute has {label!r}, expected a token of the model's vocabulary of "
            f"{len(vocabulary):,}"
        )
    return int(place)
