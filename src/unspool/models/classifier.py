"""A recurrent network that says what a sequence is.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``H`` hidden size, ``D`` directions,
``C`` classes.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from unspool.errors import RecipeError
from unspool.models.cells import Recurrent, make_layers
from unspool.nn.dropout import Dropout
from unspool.nn.linear import Linear
from unspool.settings import Settings

_EMBEDDING_SIZE = 32


class ClassifierSettings(Settings):
    """The architecture of a :class:`Classifier`.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
    embedding_size : int, optional
        For text: numbers that stand for a token; 32 when not given.
    input_projection : int, optional
        Size of a linear layer between the features and the first recurrent layer.
    hidden_size, num_layers : int
    bidirectional : bool
        Read every sequence from both ends.
    dropout : float
        Share of a recurrent layer's outputs that is dropped on the way to the next layer and to
        the head, never from step to step (Zaremba et al. 2014, arXiv 1409.2329).
    token_dropout : float
        For text: share of the tokens that are not read, others at every reading (Iyyer et al.
        2015, "Deep Unordered Composition Rivals Syntactic Methods for Text Classification").
    pooling : {"last", "max"}
        What the head answers from: the state after the last step, or the largest output that each
        unit had at any step (Conneau et al. 2017, arXiv 1705.02364).
    forget_bias : float, optional
        What an LSTM's forget gates start from; torch's random start when not given.
    output_init : {"default", "standard-normal"}
        How the head's weights are drawn: as torch draws them, or from a standard normal with
        zero biases.
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    embedding_size: Annotated[int, Field(ge=1, le=65536)] | None = None
    input_projection: Annotated[int, Field(ge=1, le=65536)] | None = None
    hidden_size: Annotated[int, Field(ge=1, le=65536)] = 128
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    bidirectional: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    pooling: Literal["last", "max"] = "last"
    forget_bias: float | None = None
    output_init: Literal["default", "standard-normal"] = "default"

    @model_validator(mode="after")
    def _forget_bias_needs_lstm(self) -> "ClassifierSettings":
        if self.forget_bias is not None and self.cell != "lstm":
            raise ValueError(f"forget_bias needs cell 'lstm', got cell {self.cell!r}")
        return self


class Classifier(nn.Module):
    """Normalisation, optional projection, stacked recurrent layers, and a head on their answer.

    Parameters
    ----------
    num_features, num_classes : int
    settings : ClassifierSettings
    num_tokens : int, optional
        For text, of which the one feature is a token's number: the size of the vocabulary. An
        embedding then stands in the normalisation's place.

    Attributes
    ----------
    centre, scale : (F,) tensors
        The normalisation ``(x - centre) / scale``, part of the state dict; not there for text.

    Raises
    ------
    RecipeError
        If the settings are for text and the sequences are not.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        num_features: int,
        num_classes: int,
        settings: ClassifierSettings,
        num_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.num_features = num_features
        self.embedding = None
        if num_tokens is not None:
            size = settings.embedding_size or _EMBEDDING_SIZE
            self.embedding = nn.Embedding(num_tokens, size)
            self.token_dropout = nn.Dropout1d(settings.token_dropout)
        elif settings.token_dropout:
            raise RecipeError(
                "model.token_dropout is for text, the sequences are of numbers; leave it out, or "
                "say by data.vocabulary what the tokens are"
            )
        elif settings.embedding_size is not None:
            raise RecipeError(
                "model.embedding_size is for text, the sequences are of numbers; leave it out, or "
                "say by data.vocabulary what the tokens are"
            )
        else:
            size = num_features
            self.register_buffer("centre", torch.zeros(num_features))
            self.register_buffer("scale", torch.ones(num_features))
        self.projection = (
            Linear(size, settings.input_projection) if settings.input_projection else nn.Identity()
        )
        self.recurrent = self._layers(settings.input_projection or size, settings)
        self.dropout = Dropout(settings.dropout)
        directions = 2 if settings.bidirectional else 1
        self.head = Linear(directions * settings.hidden_size, num_classes)
        if settings.output_init == "standard-normal":
            nn.init.normal_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    @staticmethod
    def _layers(input_size: int, settings: ClassifierSettings) -> Recurrent:
        return make_layers(
            settings.cell,
            input_size,
            settings.hidden_size,
            settings.num_layers,
            dropout=settings.dropout if settings.num_layers > 1 else 0.0,
            bidirectional=settings.bidirectional,
            forget_bias=settings.forget_bias,
        )

    def set_normalisation(self, centre: Tensor, scale: Tensor) -> None:
        """Take the normalisation that was fitted on the training part, each ``(F,)``."""
        self.centre.copy_(centre)
        self.scale.copy_(scale)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Read whole sequences.

        Parameters
        ----------
        x : (B, T, F) tensor
            Right-padded; any number type. For text F is 1, a token's number.
        lengths : (B,) int64 tensor, optional
            Valid steps of each sequence; all ``T`` when not given.

        Returns
        -------
        (B, C) tensor
            Logits after the last valid step.
        """
        outputs, state = self._unroll(x, lengths)  # (B, T, D * H)
        if self.settings.pooling == "max":
            return self._logits(_largest(outputs, lengths))
        hidden = state[0] if self.settings.cell == "lstm" else state  # (L * D, B, H)
        directions = 2 if self.settings.bidirectional else 1
        last = hidden[-directions:].transpose(0, 1).flatten(1)  # (B, D * H)
        return self._logits(last)

    def by_step(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Say after every step what the sequence looks like so far.

        What stands after step ``t`` depends on the steps up to ``t`` alone. A network that reads
        from both ends therefore reads each beginning anew, at ``T`` times the cost.

        Parameters
        ----------
        x : (B, T, F) tensor
        lengths : (B,) int64 tensor, optional

        Returns
        -------
        (B, T, C) tensor
            Logits after each step; past a sequence's end, those of its last valid step.
        """
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps)
        if self.settings.bidirectional:
            ends = torch.arange(1, steps + 1)
            beginnings = [self(x[:, :end], lengths.clamp(max=int(end))) for end in ends]
            return torch.stack(beginnings, dim=1)
        outputs, _ = self._unroll(x, lengths)  # (B, T, H)
        if self.settings.pooling == "max":
            outputs = outputs.cummax(1).values
        last = (lengths[:, None] - 1).clamp(min=0).to(x.device)  # (B, 1)
        seen = torch.arange(steps, device=x.device).minimum(last)  # (B, T)
        held = outputs.gather(1, seen[:, :, None].expand_as(outputs))
        return self._logits(held)

    def inputs(self, x: Tensor) -> Tensor:
        """What the first recurrent layer is given for a sequence's steps, ``(B, T, F)``."""
        if self.embedding is not None:
            read = self.token_dropout(self.embedding(x[:, :, 0].long()))  # (B, T, its size)
        else:
            read = (x.to(self.scale.dtype) - self.centre) / self.scale
        return self.projection(read)  # type: ignore[no-any-return]

    def _unroll(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Any]:
        return self.recurrent(self.inputs(x), lengths=lengths)  # type: ignore[no-any-return]

    def _logits(self, hidden: Tensor) -> Tensor:
        return self.head(self.dropout(hidden))  # type: ignore[no-any-return]


def _largest(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """The largest value of each feature over the valid steps, ``(B, F)`` of ``(B, T, F)``."""
    if lengths is not None:
        steps = torch.arange(outputs.shape[1], device=outputs.device)
        past = steps >= lengths[:, None].to(outputs.device)  # (B, T)
        outputs = outputs.masked_fill(past[:, :, None], -torch.inf)
    return outputs.amax(1)
