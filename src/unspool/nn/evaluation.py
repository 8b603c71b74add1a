"""Networks as they are used, not trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from unspool.nn.recurrent import keeping_packed


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Leave out gradients and dropout; the model's mode is afterwards what it was.

    Meanwhile recurrent layers keep their weights packed
    (:func:`unspool.nn.recurrent.keeping_packed`).

    Examples
    --------
    >>> model = nn.Dropout(0.5)
    >>> with evaluating(model):
    ...     print(model(torch.ones(2)), model.training)
    tensor([1., 1.]) False
    >>> model.training
    True
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), keeping_packed(model):
            yield
    finally:
        model.train(was_training)
