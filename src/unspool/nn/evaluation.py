"""Networks as they are used, not trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from unspool.nn.keeping import keeping_packed


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Leave out gradients and dropout; the mode of each module is afterwards what it was.

    Meanwhile recurrent layers keep their weights packed
    (:func:`unspool.nn.keeping.keeping_packed`).

    Examples
    --------
    >>> model = nn.Dropout(0.5)
    >>> with evaluating(model):
    ...     print(model(torch.ones(2)), model.training)
    tensor([1., 1.]) False
    >>> model.training
    True
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode(), keeping_packed(model):
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training
