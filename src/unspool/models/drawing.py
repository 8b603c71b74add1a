"""A recurrent network of pictures: how likely each is, pixel by pixel, and how one goes on.

Pixels are taken in the order of reading: rows from the top, each from the left. The network tells
the distribution of every pixel given all pixels before it, so that a picture's likelihood is exact:
the product of its pixels'. As in PixelRNN (van den Oord, Kalchbrenner & Kavukcuoglu 2016, arXiv
1601.06759) every layer adds to what the layers below it found; what is above is seen as in ReNet
(Visin et al. 2015, arXiv 1505.00393), by sweeps over columns and over rows.

Shapes: ``B`` pictures, ``R`` rows, ``C`` columns, ``W`` window, ``H`` hidden size, ``P`` numbers
that tell a pixel's distribution.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from unspool.models.cells import make_layers
from unspool.models.pixels import BinaryPixels, GreyPixels, PixelKind, Pixels
from unspool.models.recurrent_layer import LayerState, run_layer
from unspool.nn.dropout import Dropout
from unspool.nn.linear import Linear
from unspool.settings import Settings

_FORGET_BIAS = 1.0
_PLACES_DEVIATION = 0.1


class DrawingSettings(Settings):
    """The architecture of a :class:`DrawingModel`.

    Parameters
    ----------
    pixels : {"binary", "grey"}
        Ink or none, or 8-bit grey.
    num_mixtures : int, optional
        For grey pixels: logistics of a pixel's mixture; 5 when not given.
    conditional : bool
        Draw what a label names: the network is told every picture's label.
    cell : {"lstm", "gru", "rnn"}
    hidden_size : int
        Even: a half of it reads a row from the left, a half from the right.
    num_sweeps : int
        Pairs of a sweep down the columns and one across the rows, over what is above.
    num_row_layers : int
        Layers along the row that is being drawn.
    window : int
        Pixels that are seen directly, on either side in the row above and to the left in the row
        itself; all others by way of a state.
    dropout : float
        Share of a layer's outputs that is dropped before they are added to what is below it.
    """

    pixels: PixelKind = "binary"
    num_mixtures: Annotated[int, Field(ge=1, le=256)] | None = None
    conditional: bool = False
    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    hidden_size: Annotated[int, Field(ge=2, le=65536, multiple_of=2)] = 64
    num_sweeps: Annotated[int, Field(ge=1, le=64)] = 2
    num_row_layers: Annotated[int, Field(ge=1, le=64)] = 2
    window: Annotated[int, Field(ge=1, le=1024)] = 3
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _mixtures_are_for_grey(self) -> "DrawingSettings":
        if self.num_mixtures is not None and self.pixels != "grey":
            raise ValueError("num_mixtures is for pixels 'grey', got 'binary'; leave it out")
        return self

    @property
    def num_layers(self) -> int:
        """Recurrent layers in all, one above the other."""
        return 2 * self.num_sweeps + self.num_row_layers

    def kind_of_pixels(self) -> Pixels:
        """What a pixel can be."""
        return BinaryPixels() if self.pixels == "binary" else GreyPixels(self.num_mixtures or 5)


class Above(NamedTuple):
    """What a network knows of the rows that it has read.

    Parameters
    ----------
    contexts : (R, B, C, H) tensor
        For each place of each row, what is known of all rows above it.
    states : tuple of LayerState
        To read the next row: the states of the sweeps down, ``(1, B·C, H)`` each.
    """

    contexts: Tensor
    states: tuple[LayerState, ...]


class Along(NamedTuple):
    """What a network foretells along some rows.

    Parameters
    ----------
    parameters : (N, C, P) tensor
        Of each pixel's distribution.
    states : tuple of LayerState
        To go on in these rows, ``(1, N, H)`` each.
    """

    parameters: Tensor
    states: tuple[LayerState, ...]


class DrawingModel(nn.Module):
    """Sweeps over what is above, and layers along the row that is being drawn.

    To learn from pictures and to draw one are the same two steps: :meth:`read_rows`, of all rows or
    of the next, and :meth:`read_pixels`, of whole rows or of the next pixel.

    Parameters
    ----------
    num_rows, num_columns : int
        The size of every picture, ``R`` and ``C``.
    settings : DrawingSettings
    num_classes : int, optional
        Labels that are known to a conditional model.

    Examples
    --------
    >>> model = DrawingModel(4, 5, DrawingSettings(hidden_size=8))
    >>> pictures = torch.zeros(2, 4, 5, dtype=torch.uint8)
    >>> model(pictures).shape, model.log_likelihood(pictures).shape
    (torch.Size([2, 4, 5, 1]), torch.Size([2]))
    """

    def __init__(
        self,
        num_rows: int,
        num_columns: int,
        settings: DrawingSettings,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        assert settings.conditional == (num_classes is not None)
        self.settings = settings
        self.num_rows, self.num_columns, self.num_classes = num_rows, num_columns, num_classes
        self.pixels = settings.kind_of_pixels()
        size, window = settings.hidden_size, settings.window
        self.above = Linear(2 * window + 1, size)
        self.left = Linear(window, size, bias=False)
        self.row_places = nn.Parameter(torch.randn(num_rows, size) * _PLACES_DEVIATION)
        self.column_places = nn.Parameter(torch.randn(num_columns, size) * _PLACES_DEVIATION)
        self.classes = None if num_classes is None else nn.Embedding(num_classes, size)

        def layers(count: int, bidirectional: bool = False) -> nn.ModuleList:
            each = size // 2 if bidirectional else size
            return nn.ModuleList(
                make_layers(
                    settings.cell,
                    size,
                    each,
                    bidirectional=bidirectional,
                    forget_bias=_FORGET_BIAS,
                )
                for _ in range(count)
            )

        self.down = layers(settings.num_sweeps)
        self.across = layers(settings.num_sweeps, bidirectional=True)
        self.along = layers(settings.num_row_layers)
        self.dropout = Dropout(settings.dropout)
        self.readout = Linear(size, self.pixels.num_parameters)

    def forward(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """Foretell every pixel of whole pictures from those before it.

        Parameters
        ----------
        values : (B, R, C) tensor
            Pixels as they are: whole numbers.
        labels : (B,) int64 tensor, optional
            For a conditional model, each picture's label by its number.

        Returns
        -------
        (B, R, C, P) tensor
        """
        rows = values.transpose(0, 1)  # (R, B, C)
        above = self.read_rows(F.pad(rows[:-1], (0, 0, 0, 0, 1, 0)), labels=labels)
        contexts = above.contexts.flatten(0, 1)  # (R·B, C, H)
        left = F.pad(rows.flatten(0, 1), (self.settings.window, 0))
        windows = left.unfold(1, self.settings.window, 1)[:, : self.num_columns]
        parameters = self.read_pixels(contexts, windows).parameters
        return parameters.view(*rows.shape, -1).transpose(0, 1)

    def log_likelihood(self, values: Tensor, labels: Tensor | None = None) -> Tensor:
        """The log-probability of each picture, ``(B,)``, in nats. Arguments are those of a call."""
        return self.pixels.log_likelihood(self(values, labels), values).sum((1, 2))

    # --- the two steps -----------------------------------------------------------------------

    def read_rows(
        self,
        above: Tensor,
        states: Sequence[LayerState] | None = None,
        first: int = 0,
        labels: Tensor | None = None,
    ) -> Above:
        """Read what is above some rows, one after the other.

        Parameters
        ----------
        above : (R', B, C) tensor
            The pixels of the row above each of ``R'`` rows; of the topmost, zeros.
        states : sequence of LayerState, optional
            After the rows before these; not given for the topmost.
        first : int
            Which row the first of these is.
        labels : (B,) int64 tensor, optional
        """
        window = self.settings.window
        scaled = self.pixels.scaled(above, self.above.weight.dtype)
        seen = F.pad(scaled, (window, window)).unfold(2, 2 * window + 1, 1)  # (R', B, C, 2 W + 1)
        places = self.row_places[first : first + len(above), None, None] + self.column_places
        if self.classes is not None:
            places = places + self.classes(labels)[:, None]
        x = _in_full(self.above, seen) + places
        after = []
        for number, (down, across) in enumerate(zip(self.down, self.across, strict=True)):
            columns = x.flatten(1, 2).transpose(0, 1)  # (B·C, R', H), a view as is what comes back
            found, state = run_layer(down, columns, states[number] if states else None)  # type: ignore[arg-type]
            after.append(state)
            x = x + self.dropout(found.transpose(0, 1).reshape(x.shape))
            found, _ = run_layer(across, x.flatten(0, 1))  # type: ignore[arg-type]
            x = x + self.dropout(found.view(x.shape))
        return Above(x, tuple(after))

    def read_pixels(
        self, contexts: Tensor, left: Tensor, states: Sequence[LayerState] | None = None
    ) -> Along:
        """Read along some rows what is to the left of each place.

        Parameters
        ----------
        contexts : (N, C', H) tensor
            Of ``C'`` places that follow each other in each row.
        left : (N, C', W) tensor
            The pixels to the left of each; zeros beyond the edge.
        states : sequence of LayerState, optional
            After the places before these; not given for the leftmost.
        """
        x = contexts + _in_full(self.left, self.pixels.scaled(left, self.left.weight.dtype))
        after = []
        for number, layer in enumerate(self.along):
            found, state = run_layer(layer, x, states[number] if states else None)  # type: ignore[arg-type]
            after.append(state)
            x = x + self.dropout(found)
        return Along(_in_full(self.readout, x), tuple(after))


def _in_full(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply a small layer in the precision of its weights, where the large ones may have less."""
    with torch.autocast(x.device.type, enabled=False):
        return linear(x.to(linear.weight.dtype))  # type: ignore[no-any-return]
