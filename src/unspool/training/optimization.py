"""Optimisers, learning-rate schedules, and the one step that uses them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from unspool.settings import Settings
from unspool.training.averaging import NonMonotonicASGD

Positive = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]

_LEAST = 1e-6  # added to a norm that is divided by, as torch does


class OptimizerSettings(Settings):
    """How a gradient becomes a change of the weights.

    Parameters
    ----------
    name : {"adamw", "adam", "sgd", "rmsprop", "nt-asgd"}
        ``nt-asgd`` is SGD that averages its weights once the validation loss has stopped falling
        (Merity et al. 2018, arXiv 1708.02182).
    lr : float
        Learning rate; with a schedule, its highest value.
    weight_decay : float
    betas : pair of float
        Decay rates of Adam's and AdamW's averages (Kingma & Ba 2015, arXiv 1412.6980).
    momentum : float
        For SGD and RMSprop.
    non_monotonic : int
        For ``nt-asgd``: averaging begins after an epoch whose validation loss is above the lowest
        of all but the last so many epochs before it.
    """

    name: Literal["adamw", "adam", "sgd", "rmsprop", "nt-asgd"] = "adamw"
    lr: Positive = 0.003
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: Annotated[tuple[Momentum, Momentum], Field(strict=False)] = (0.9, 0.999)
    momentum: Momentum = 0.0
    non_monotonic: Annotated[int, Field(ge=1)] = 5

    def build(self, model: nn.Module) -> Optimizer:
        """Make the optimiser for all parameters of a model."""
        shared: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        parameters = model.parameters()
        match self.name:
            case "adamw":
                return torch.optim.AdamW(parameters, betas=self.betas, fused=True, **shared)
            case "adam":
                return torch.optim.Adam(parameters, betas=self.betas, fused=True, **shared)
            case "sgd":
                if self.momentum == 0 and self.weight_decay == 0:
                    _spare_unread_rows(model)
                return torch.optim.SGD(
                    parameters, momentum=self.momentum, fused=self.momentum > 0, **shared
                )
            case "rmsprop":
                return torch.optim.RMSprop(parameters, momentum=self.momentum, **shared)
            case "nt-asgd":
                return NonMonotonicASGD(parameters, patience=self.non_monotonic, **shared)


class ScheduleSettings(Settings):
    """How the learning rate changes during a run.

    Parameters
    ----------
    name : {"constant", "cosine", "one-cycle", "step", "plateau"}
        ``cosine``: down to ``final`` along half a cosine (Loshchilov & Hutter 2017, arXiv
        1608.03983). ``one-cycle``: up, then down to almost nothing, with Adam's first beta (or
        the momentum) moving the other way (Smith & Topin 2018, arXiv 1708.07120). ``step``:
        after ``start`` epochs times ``factor``, and again every ``every`` epochs. ``plateau``:
        times ``factor`` after ``every`` epochs without a lower validation loss.
    warmup : float
        Share of the run in which the rate rises from almost nothing to its highest value; for
        ``one-cycle`` its rising part.
    final : float
        For ``cosine``: the last rate, as a share of the highest.
    factor, every : float
        For ``step`` and ``plateau``; epochs, which ``step`` may take parts of: Sutskever, Vinyals
        & Le (2014, arXiv 1409.3215, section 3.4) halve the rate every half epoch after five.
    start : float, optional
        For ``step``; ``every`` when not given.
    """

    name: Literal["constant", "cosine", "one-cycle", "step", "plateau"] = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    every: Positive = 1
    start: Positive | None = None

    @model_validator(mode="after")
    def _warmup_fits(self) -> ScheduleSettings:
        if self.name == "one-cycle" and self.warmup == 0:
            raise ValueError("one-cycle needs warmup above 0, the share of its rising part")
        if self.name == "plateau" and self.warmup > 0:
            raise ValueError("plateau knows no warmup; leave it out, or use another schedule")
        if self.start is not None and self.name != "step":
            raise ValueError(f"start is for the schedule 'step', got {self.name!r}; leave it out")
        if self.name == "plateau" and not float(self.every).is_integer():
            raise ValueError(f"plateau waits for whole epochs, got every = {self.every:g}")
        return self

    def build(self, optimizer: Optimizer, steps_an_epoch: int, epochs: int) -> Schedule:
        """Make the schedule of a run of this many steps."""
        steps = steps_an_epoch * epochs
        if self.name == "plateau":
            return Schedule(
                ReduceLROnPlateau(optimizer, factor=self.factor, patience=int(self.every) - 1)
            )
        if self.name == "one-cycle":
            highest = optimizer.param_groups[0]["lr"]
            return Schedule(
                OneCycleLR(
                    optimizer,
                    highest,
                    total_steps=steps + 1,
                    pct_start=max(self.warmup, 2 / (steps + 1)),  # one step at least to rise
                    cycle_momentum=_has_momentum(optimizer),
                )
            )
        return Schedule(LambdaLR(optimizer, self._factor(steps_an_epoch, steps)))

    def _factor(self, steps_an_epoch: int, steps: int) -> Callable[[int], float]:
        """The rate at each step, as a share of the highest."""
        rising = round(self.warmup * steps)

        def factor(step: int) -> float:
            if step < rising:
                return (step + 1) / (rising + 1)
            if self.name == "cosine":
                done = (step - rising) / max(steps - rising, 1)
                return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(done, 1))) / 2
            if self.name == "step":
                waited = step / steps_an_epoch - (self.start or self.every)
                return float(self.factor ** max(math.floor(waited / self.every) + 1, 0))
            return 1.0

        return factor


def _spare_unread_rows(model: nn.Module) -> None:
    """Let embeddings have gradients of those rows alone that a batch has read.

    The others do not move, and to find that out takes as long as a layer of a small network does.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = True


def _has_momentum(optimizer: Optimizer) -> bool:
    group = optimizer.param_groups[0]
    return "betas" in group or group.get("momentum", 0) > 0


class Schedule:
    """Moves an optimiser's learning rate, after every step or by the validation loss."""

    def __init__(self, scheduler: OneCycleLR | LambdaLR | ReduceLROnPlateau) -> None:
        self._scheduler = scheduler

    def after_step(self) -> None:
        """Move on by one batch."""
        if not isinstance(self._scheduler, ReduceLROnPlateau):
            with warnings.catch_warnings():
                # torch misses optimizer.step() where the first batches had to be skipped
                warnings.filterwarnings("ignore", "Detected call of")
                self._scheduler.step()

    def after_epoch(self, validation_loss: float | None) -> None:
        """Take note of the validation loss, None where there is no validation part."""
        if isinstance(self._scheduler, ReduceLROnPlateau) and validation_loss is not None:
            self._scheduler.step(validation_loss)

    def state_dict(self) -> dict[str, Any]:
        """Numbers and strings only, fit for JSON."""
        state = self._scheduler.state_dict()
        return {key: value for key, value in state.items() if key != "lr_lambdas"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was taken."""
        if isinstance(self._scheduler, LambdaLR):
            state = {**state, "lr_lambdas": [None]}
        self._scheduler.load_state_dict(state)


def learned(optimizer: Optimizer) -> list[Tensor]:
    """All that an optimiser moves."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def clear_gradients(parameters: Sequence[Tensor]) -> None:
    """Forget all gradients: ``zero_grad`` at a fifth of its time, as nobody is told of it."""
    for parameter in parameters:
        parameter.grad = None


def clip_gradients(parameters: Sequence[Tensor], clip: float | None) -> float:
    """The norm of all gradients together, which are scaled down to ``clip`` where it is larger.

    Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, algorithm 1. The numbers are those of
    :func:`torch.nn.utils.clip_grad_norm_`, which asks each tensor for its device and type first
    and so takes longer than the arithmetic of a small network.

    Returns
    -------
    float
        The norm before clipping; not finite when any gradient is not.
    """
    gradients = [_numbers(parameter) for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return 0.0
    total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    norm = float(total)
    if clip is not None and math.isfinite(norm):
        share = clip / (total + _LEAST)
        if share < 1:
            torch._foreach_mul_(gradients, share)
    return norm


def _numbers(parameter: Tensor) -> Tensor:
    """The numbers of its gradient, each element's once."""
    assert parameter.grad is not None
    if not parameter.grad.is_sparse:
        return parameter.grad
    parameter.grad = parameter.grad.coalesce()
    return parameter.grad.values()
