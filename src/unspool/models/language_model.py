"""A recurrent network that says what comes next.

Shapes: ``B`` batch, ``T`` steps, ``N`` positions, ``E`` size of the embedding, ``H`` hidden size,
``P`` size of what the output layer reads, ``V`` tokens of the vocabulary.
"""

from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.func import functional_call

from unspool.errors import RecipeError
from unspool.models.cells import Recurrent, make_layers
from unspool.nn.cross_entropy import linear_cross_entropy
from unspool.nn.dropout import Dropout, LockedDropout, drop_recurrent_weights, embed_with_dropout
from unspool.nn.linear import Linear
from unspool.settings import Settings

Share = Annotated[float, Field(ge=0, lt=1)]
Size = Annotated[int, Field(ge=1, le=65536)]

_EMBEDDING_RANGE = 0.1

State = tuple[tuple[Tensor, ...], ...]
"""For each layer ``(h,)``, or ``(h, c)`` of an LSTM, each ``(1, B, H)``."""


class LanguageDropoutSettings(Settings):
    """What is dropped in training, and where.

    Parameters
    ----------
    words : float
        Share of the vocabulary that is dropped from the embedding at each step of the optimiser.
    inputs, layers, outputs : float
        Share of the features dropped before the first layer, between two layers, and after the
        last one (Zaremba et al. 2014, arXiv 1409.2329).
    weights : float
        Share of the weights from one step to the next (Merity et al. 2018, arXiv 1708.02182).
    locked : bool
        Drop the same features at every step of a segment (Gal & Ghahramani 2016, arXiv
        1512.05287), and not others at each.
    """

    words: Share = 0.0
    inputs: Share = 0.0
    layers: Share = 0.0
    outputs: Share = 0.0
    weights: Share = 0.0
    locked: bool = False


class LanguageModelSettings(Settings):
    """The architecture of a :class:`LanguageModel`.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    embedding_size : int, optional
        ``hidden_size`` when not given.
    hidden_size, num_layers : int
    last_hidden_size : int, optional
        The last layer's, where it is to be another.
    tie_weights : bool
        Use the embedding as the output layer's weights, too (Press & Wolf 2017, arXiv
        1608.05859), behind a projection where its size is not the last layer's.
    adaptive_softmax : list of int, optional
        Cutoffs of an adaptive softmax (Grave et al. 2017, arXiv 1609.04309), for vocabularies so
        large that the output layer takes most of the time.
    forget_bias : float, optional
        What an LSTM's forget gates start from; torch's random start when not given.
    init : float, optional
        Draw every weight and bias uniformly from ``-init … init``. When not given, the embedding
        is drawn so from 0.1, and the rest as torch does.
    dropout : LanguageDropoutSettings
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    embedding_size: Size | None = None
    hidden_size: Size = 200
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    last_hidden_size: Size | None = None
    tie_weights: bool = False
    adaptive_softmax: (
        Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)] | None
    ) = None
    forget_bias: float | None = None
    init: Annotated[float, Field(gt=0)] | None = None
    dropout: LanguageDropoutSettings = LanguageDropoutSettings()

    @model_validator(mode="after")
    def _fit_each_other(self) -> "LanguageModelSettings":
        if self.forget_bias is not None and self.cell != "lstm":
            raise ValueError(f"forget_bias needs cell 'lstm', got cell {self.cell!r}")
        if self.forget_bias is not None and self.init is not None:
            raise ValueError("init draws the forget gates' biases, too; leave out forget_bias")
        if self.adaptive_softmax is not None:
            if self.tie_weights:
                raise ValueError("adaptive_softmax has weights of its own; leave out tie_weights")
            if any(low >= high for low, high in pairwise(self.adaptive_softmax)):
                raise ValueError(
                    f"adaptive_softmax has {list(self.adaptive_softmax)}, expected rising cutoffs"
                )
        return self

    @property
    def sizes(self) -> list[int]:
        """What each layer reads and the last one gives, ``num_layers + 1`` sizes."""
        inner = [self.hidden_size] * (self.num_layers - 1)
        last = self.last_hidden_size or self.hidden_size
        return [self.embedding_size or self.hidden_size, *inner, last]


class Reading(NamedTuple):
    """What a network makes of some text.

    Parameters
    ----------
    hidden : (B, T, P) tensor
        After each token, for the output layer.
    activations : (B, T, H) tensor
        The last layer's outputs before dropout.
    dropped : (B, T, H) tensor
        The same after dropout.
    state : State
        To go on from.
    """

    hidden: Tensor
    activations: Tensor
    dropped: Tensor
    state: State


class LanguageModel(nn.Module):
    """An embedding, stacked recurrent layers, and an output layer over the vocabulary.

    Parameters
    ----------
    num_tokens : int
        ``V``.
    settings : LanguageModelSettings

    Raises
    ------
    RecipeError
        If the settings do not fit the vocabulary.

    Examples
    --------
    >>> model = LanguageModel(10, LanguageModelSettings(hidden_size=4)).eval()
    >>> reading = model(torch.tensor([[1, 2, 3]]))
    >>> model.log_probabilities(reading.hidden).shape
    torch.Size([1, 3, 10])
    """

    def __init__(self, num_tokens: int, settings: LanguageModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.num_tokens = num_tokens
        sizes, dropout = settings.sizes, settings.dropout
        self.embedding = nn.Embedding(num_tokens, sizes[0])
        self.layers = nn.ModuleList(_layer(*pair, settings) for pair in pairwise(sizes))
        shares = [dropout.inputs, *[dropout.layers] * (settings.num_layers - 1), dropout.outputs]
        kind = LockedDropout if dropout.locked else Dropout
        self.dropouts = nn.ModuleList(kind(share) for share in shares)
        projected = settings.tie_weights and sizes[-1] != sizes[0]
        self.projection = Linear(sizes[-1], sizes[0], bias=False) if projected else nn.Identity()
        self.output = _output(sizes[-1], num_tokens, settings)
        self._draw_weights()

    def _draw_weights(self) -> None:
        """Redraw what is not to be as torch draws it."""
        with torch.no_grad():
            self.embedding.weight.uniform_(-_EMBEDDING_RANGE, _EMBEDDING_RANGE)
            if self.settings.tie_weights:
                self.output.bias.zero_()  # type: ignore[operator]
            if self.settings.init is not None:
                for parameter in self.parameters():
                    parameter.uniform_(-self.settings.init, self.settings.init)

    # --- reading ---------------------------------------------------------------------------

    def initial_state(self, batch_size: int) -> State:
        """The state of zeros that a text begins with."""
        weight = self.embedding.weight
        members = 2 if self.settings.cell == "lstm" else 1
        return tuple(
            tuple(weight.new_zeros(1, batch_size, size) for _ in range(members))
            for size in self.settings.sizes[1:]
        )

    def forward(
        self, tokens: Tensor, state: State | None = None, resets: Tensor | None = None
    ) -> Reading:
        """Read on.

        Parameters
        ----------
        tokens : (B, T) int64 tensor
        state : State, optional
            Where an earlier call left off; zeros when not given.
        resets : (B, T) bool tensor, optional
            Where the state before the step is to be zero, as at the beginning of a document;
            best on the CPU. The steps between two columns with any are read in one go.

        Returns
        -------
        Reading
        """
        state = state or self.initial_state(len(tokens))
        cuts = None if resets is None else _cuts(resets)
        words = self.settings.dropout.words if self.training else 0.0
        x = embed_with_dropout(tokens, self.embedding, words)  # (B, T, E)
        x = self.dropouts[0](x)
        after: list[tuple[Tensor, ...]] = []
        for layer, before, dropout in zip(self.layers, state, self.dropouts[1:], strict=True):
            activations, final = self._run(layer, x, before, cuts)  # (B, T, H)
            after.append(final)
            x = dropout(activations)
        return Reading(self.projection(x), activations, x, tuple(after))

    def _run(
        self,
        layer: nn.Module,
        x: Tensor,
        state: tuple[Tensor, ...],
        cuts: "list[_Cut] | None",
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run one layer, stretch by stretch where rows are to forget what was."""
        share = self.settings.dropout.weights if self.training else 0.0
        weights = drop_recurrent_weights(layer, share) if share else {}  # type: ignore[arg-type]
        outputs = []
        for cut in cuts or [_Cut(0, x.shape[1], None)]:
            if cut.kept is not None:
                kept = cut.kept.to(x.device)[None, :, None]
                state = tuple(member * kept for member in state)
            output, state = _call(layer, weights, x[:, cut.start : cut.stop], state)
            outputs.append(output)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1), state

    def step(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read one token more of each text, ``(B,)``, and say what comes next.

        Returns
        -------
        log_probabilities : (B, V) tensor
        state : State
        """
        reading = self(tokens[:, None], state)
        return self.log_probabilities(reading.hidden[:, 0]), reading.state

    # --- answers ---------------------------------------------------------------------------

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Of every token of the vocabulary, ``(…, V)`` from hidden values ``(…, P)``; nats."""
        if isinstance(self.output, nn.AdaptiveLogSoftmaxWithLoss):
            flat: Tensor = self.output.log_prob(hidden.flatten(0, -2))
            return flat.view(*hidden.shape[:-1], self.num_tokens)
        logits = nn.functional.linear(hidden, self._output_weight, self.output.bias)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The negative log-likelihood of targets ``(N,)`` after hidden values ``(N, P)``, summed.

        It is formed without ever holding the logits of all positions.
        """
        if isinstance(self.output, nn.AdaptiveLogSoftmaxWithLoss):
            likelihoods: Tensor = self.output(hidden, targets).output
            return -likelihoods.to(torch.promote_types(likelihoods.dtype, torch.float32)).sum()
        return linear_cross_entropy(hidden, self._output_weight, self.output.bias, targets)

    @property
    def _output_weight(self) -> Tensor:
        tied = self.settings.tie_weights
        return self.embedding.weight if tied else self.output.weight  # type: ignore[return-value]


def _layer(input_size: int, hidden_size: int, settings: LanguageModelSettings) -> Recurrent:
    return make_layers(settings.cell, input_size, hidden_size, forget_bias=settings.forget_bias)


def _output(
    size: int, num_tokens: int, settings: LanguageModelSettings
) -> nn.Linear | nn.AdaptiveLogSoftmaxWithLoss:
    if settings.adaptive_softmax is not None:
        return _adaptive_softmax(size, num_tokens, list(settings.adaptive_softmax))
    if not settings.tie_weights:
        return nn.Linear(size, num_tokens)
    output = nn.Linear(settings.sizes[0], num_tokens)
    output.register_parameter("weight", None)  # the embedding's
    return output


def _adaptive_softmax(
    size: int, num_tokens: int, cutoffs: list[int]
) -> nn.AdaptiveLogSoftmaxWithLoss:
    if cutoffs[-1] >= num_tokens:
        raise RecipeError(
            f"model.adaptive_softmax has the cutoff {cutoffs[-1]}, expected cutoffs below "
            f"{num_tokens}, the size of the vocabulary"
        )
    smallest = 4 ** len(cutoffs)  # each cluster is projected to a quarter of the one before
    if size < smallest:
        raise RecipeError(
            f"model.adaptive_softmax has {len(cutoffs)} cutoffs, expected a last layer of "
            f"{smallest} units or more for them, got {size}; use fewer cutoffs"
        )
    return nn.AdaptiveLogSoftmaxWithLoss(size, num_tokens, cutoffs)


class _Cut(NamedTuple):
    """Steps to be read in one go, and which rows of the state live on into them."""

    start: int
    stop: int
    kept: Tensor | None  # (B,) bool; None for all


def _cuts(resets: Tensor) -> list[_Cut]:
    """The stretches between two columns in which some row is to forget."""
    resets = resets.cpu()
    forgetful = resets.any(0)  # (T,)
    starts = sorted({0, *forgetful.nonzero().squeeze(1).tolist()})
    return [
        _Cut(start, stop, ~resets[:, start] if bool(forgetful[start]) else None)
        for start, stop in pairwise([*starts, resets.shape[1]])
    ]


def _call(
    layer: nn.Module, weights: dict[str, Tensor], x: Tensor, state: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a layer with some of its weights replaced."""
    hidden: Any = state if len(state) > 1 else state[0]
    if weights:
        # With lengths a layer takes its weights one by one, as functional_call replaces them.
        lengths = torch.full(x.shape[:1], x.shape[1])
        output, final = functional_call(layer, weights, (x, hidden), {"lengths": lengths})
    else:
        output, final = layer(x, hidden)
    return output, final if isinstance(final, tuple) else (final,)
