"""RNN, LSTM and GRU: torch.nn's layers, plus lengths, single steps and a choice of kernels.

Constructor arguments, parameter names, state dict and results are those of :mod:`torch.nn`, so
that either class can take the other's place. The shape legend is in :mod:`unspool.nn.stack`.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from unspool.nn import fused, kernels, levels, reference
from unspool.nn.inference import Inference, is_plain
from unspool.nn.keeping import Keeping, Kept
from unspool.nn.lengths import check_lengths
from unspool.nn.stack import GATES, Route, Stack, State, Weights

ROUTES: dict[str, Route] = dict(zip(levels.PLAIN, (fused.run, reference.run), strict=True))
"""Ways to run a stack beside the native kernels; ``torch`` takes what these do not serve."""

Hidden = Tensor | tuple[Tensor, Tensor]
"""``h`` for RNN and GRU, ``(h, c)`` for LSTM."""

_Run = Callable[..., tuple[Tensor, State]]
"""A stack bound to its weights: what it makes of a batch, a state and lengths."""


class _Recurrent(Keeping, nn.RNNBase):
    """What RNN, LSTM and GRU add to their namesakes in torch.nn."""

    batch_invariant: bool = False
    """Whether answers under :func:`torch.no_grad` are the same to the bit whatever shares the
    batch. Else a batch is computed in the way that is fastest for its size."""

    _kept: Kept[Inference] | None = None

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Hidden | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Any, Any]:
        """Run the layers over whole sequences.

        Parameters
        ----------
        input : Tensor or PackedSequence
            Shape (T, B, F), (B, T, F) with ``batch_first``, or (T, F) for one sequence.
        hx : Tensor or tuple of two Tensors, optional
            The initial state, zeros if absent: h of shape (L·D, B, P); for an LSTM (h, c) with c
            of shape (L·D, B, H). Without B for one sequence.
        lengths : Tensor or sequence of int, shape (B,), optional
            Number of valid steps of each sequence of a right-padded batch, 0..T in any order.
            What stands in the padding has no influence on values or gradients, not even NaN.

        Returns
        -------
        output : Tensor or PackedSequence
            h of the last layer after each step, directions side by side: shaped like the input
            with D·P features. Zero where a step is padding.
        state : Tensor or tuple of two Tensors
            The state after each sequence's last valid step, shaped like ``hx``; the initial state
            for a sequence of length 0. The backward direction starts at the sequence's own end.

        Raises
        ------
        ValueError
            If the lengths do not fit the batch, are given with a PackedSequence or with a single
            sequence, or if ``UNSPOOL_KERNEL`` names no kernel.
        RuntimeError, ValueError
            As in torch.nn, if input or state have a wrong shape or dtype.
        """
        quick = self._quick_forward(input, hx, lengths)
        if quick is not None:
            return quick
        weights = self._weights()
        route = self._route(input, hx, weights)
        if lengths is None and route is ROUTES["torch"]:
            data = input.data if isinstance(input, PackedSequence) else input
            with fused.without_unable_onednn(self.mode.lower(), data):
                result: tuple[Any, Any] = super().forward(input, hx)
            return result
        if isinstance(input, PackedSequence):
            return self._forward_packed(route, input, hx, lengths, weights)
        return self._forward_padded(route, input, hx, lengths, weights)

    def step(self, x_t: Tensor, state: Hidden | None = None) -> tuple[Tensor, Any]:
        """Run the layers over one step, for sequences that arrive step by step.

        T calls, each with the state that the call before returned, equal one forward pass over T
        steps (in evaluation: in training each step draws its own dropout, as in torch.nn).

        Parameters
        ----------
        x_t : Tensor, shape (B, F) or (F,)
            The input at this step, of a batch or of one sequence.
        state : Tensor or tuple of two Tensors, optional
            What the call before returned; shaped like ``hx`` of :meth:`forward`. Zeros if absent.

        Returns
        -------
        output : Tensor, shape (B, P) or (P,)
            h of the last layer after this step.
        state : Tensor or tuple of two Tensors
            To be given to the next call.

        Raises
        ------
        ValueError
            If the layer is bidirectional, or ``x_t`` has neither one nor two dimensions.

        Examples
        --------
        >>> import torch
        >>> layer = GRU(3, 4)
        >>> state = None
        >>> for x_t in torch.zeros(5, 3):
        ...     output, state = layer.step(x_t, state)
        >>> output.shape, state.shape
        (torch.Size([4]), torch.Size([1, 4]))
        """
        if self.bidirectional:
            raise ValueError(
                "step() has a bidirectional layer, expected one direction: the backward direction "
                "starts at the end of the sequence, which has not arrived yet; "
                "use forward() on the whole sequence, or bidirectional=False"
            )
        if x_t.dim() not in (1, 2):
            raise ValueError(
                f"x_t has shape {tuple(x_t.shape)}, expected (B, F) or (F,); "
                "pass a single step, or use forward() for several"
            )
        quick = self._quick_step(x_t, state)
        if quick is not None:
            return quick
        step_dim = 1 if self.batch_first and x_t.dim() == 2 else 0
        output, state = self(x_t.unsqueeze(step_dim), state)
        return output.squeeze(step_dim), state

    def _quick_step(self, x: Tensor, hx: Hidden | None) -> tuple[Tensor, Hidden] | None:
        """Run over one step at the cost of its arithmetic; None where :meth:`forward` must."""
        if self._forward_hooks or self._forward_pre_hooks or self._asks_for_gradients():
            return None
        if type(x) is not Tensor or not kernels.only_numbers() or x.numel() == 0:
            return None
        state = self._members(hx)
        is_batched = x.dim() == 2
        if not is_batched:
            x = x[None]
            state = state and tuple(member.unsqueeze(1) for member in state)
        if not is_plain(x, x.size(0), self.input_size) or not self._is_plain_state(
            state, x.size(0)
        ):
            return None
        ready = self._ready()
        if ready is None:
            return None
        output, final = ready.step(x, state)
        if not is_batched:
            output, final = output[0], tuple(member.squeeze(1) for member in final)
        return output, self._as_hidden(final)

    def _quick_forward(
        self,
        input: Tensor | PackedSequence,
        hx: Hidden | None,
        lengths: Tensor | Sequence[int] | None,
    ) -> tuple[Tensor, Hidden] | None:
        """Run over a batch with one look at each tensor; None where there is more to do.

        For short sequences all the checks of the ordinary way take longer than the arithmetic. Here
        only numbers are asked for (no autocast, no graph of a compiler), and every shape and type
        is as it should be: whatever is wrong, the ordinary way explains.
        """
        if not kernels.only_numbers() or type(input) is not Tensor or input.dim() != 3:
            return None
        if not is_plain(input, *input.shape[:2], self.input_size) or input.numel() == 0:
            return None
        state = self._members(hx)
        batch = input if self.batch_first else input.transpose(0, 1)
        if not self._is_plain_state(state, batch.size(0)):
            return None
        if lengths is not None and not _are_plain_lengths(lengths, batch.size(0)):
            return None
        run: _Run | None = self._learning() if self._asks_for_gradients() else self._ready()
        if run is None:
            return None
        try:
            output, final = run(batch, state, lengths)
        except ValueError:  # a length is not in 0..T
            return None
        return output if self.batch_first else output.transpose(0, 1), self._as_hidden(final)

    def _asks_for_gradients(self) -> bool:
        """Whether a graph may be wanted, or dropout; else there are but numbers to compute."""
        return torch.is_grad_enabled() or (self.training and self.dropout > 0)

    def _learning(self) -> _Run | None:
        """The stack ready to be run for gradients; None where no native kernel serves it."""
        name, weights = levels.kernel(), self._weights()
        if not self._is_served(name, weights):
            return None
        stack = self._stack()

        def run(batch: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
            return kernels.run(stack, batch, state, lengths, weights, kernel=name)

        return run

    def _ready(self) -> Inference | None:
        """The stack ready to be run without gradients; None where no native kernel serves it."""
        name = levels.kernel()
        kept = self._kept if self._scopes else None
        if (
            kept is not None
            and kept.ready.kernel == self._for_inference(name)
            and kept.serves(name)
        ):
            kept.ready.keep_packed()  # a call after the first: there may be many more
            return kept.ready
        weights = self._weights()
        if not self._is_served(name, weights):
            return None
        ready = Inference(self._stack(), self.input_size, weights, self._for_inference(name))
        used = [each for layer in weights for each in layer]
        self._kept = Kept(ready, name, used, [self]) if self._scopes else None
        return ready

    def _for_inference(self, name: str) -> str:
        return levels.batch_invariant(name) if self.batch_invariant else name

    def _is_plain_state(self, state: State | None, batch: int) -> bool:
        if state is None:
            return True
        shape = (self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size)
        members = 2 if self.mode == "LSTM" else 1
        return len(state) == members and all(is_plain(member, *shape) for member in state)

    def _is_served(self, name: str, weights: Sequence[Weights]) -> bool:
        return name in levels.names() and self.proj_size == 0 and self._are_plain(weights)

    def _are_plain(self, weights: Sequence[Weights]) -> bool:
        gates = GATES[self.mode.lower()] * self.hidden_size  # type: ignore[index]
        directions = 2 if self.bidirectional else 1
        for number, each in enumerate(weights):
            inputs = self.input_size if number < directions else directions * self.hidden_size
            shapes = ((gates, inputs), (gates, self.hidden_size), (gates,), (gates,))
            for weight, shape in zip(each, shapes, strict=False):
                if weight is not None and not is_plain(weight, *shape):
                    return False
        return True

    def _route(
        self, input: Tensor | PackedSequence, hx: Hidden | None, weights: Sequence[Weights]
    ) -> Route:
        name = levels.kernel()
        if name in ROUTES:
            return ROUTES[name]
        data = input.data if isinstance(input, PackedSequence) else input
        serving = kernels.serving(name, data, self._members(hx), weights)
        if serving is None:
            return ROUTES["torch"]
        if not self._asks_for_gradients():
            serving = self._for_inference(serving)
        return partial(kernels.run, kernel=serving)

    def _forward_padded(
        self,
        route: Route,
        input: Tensor,
        hx: Hidden | None,
        lengths: Tensor | Sequence[int] | None,
        weights: Sequence[Weights],
    ) -> tuple[Tensor, Hidden]:
        name = type(self).__name__
        if input.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        is_batched = input.dim() == 3
        if lengths is not None and not is_batched:
            raise ValueError(
                f"lengths has been given with one sequence of shape {tuple(input.shape)}, "
                "expected a batch; pass input[:length] instead"
            )
        batch_dim = 0 if self.batch_first else 1
        if not is_batched:
            input = input.unsqueeze(batch_dim)
        batch_size, steps = input.size(batch_dim), input.size(1 - batch_dim)
        state = self._initial_state(hx, is_batched)
        self._check(input, state, None)
        if steps == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        if lengths is not None:
            lengths = check_lengths(lengths, batch_size, steps, input.device)

        batch = input if self.batch_first else input.transpose(0, 1)  # (B, T, F)
        output, final = route(self._stack(), batch, state, lengths, weights)

        if not self.batch_first:
            output = output.transpose(0, 1)
        if not is_batched:
            output = output.squeeze(batch_dim)
            final = tuple(member.squeeze(1) for member in final)
        return output, self._as_hidden(final)

    def _forward_packed(
        self,
        route: Route,
        packed: PackedSequence,
        hx: Hidden | None,
        lengths: Tensor | Sequence[int] | None,
        weights: Sequence[Weights],
    ) -> tuple[PackedSequence, Hidden]:
        if lengths is not None:
            raise ValueError(
                "lengths has been given with a PackedSequence, expected one of the two; "
                "a PackedSequence knows its lengths: leave them out"
            )
        state = self._initial_state(hx, is_batched=True)
        self._check(packed.data, state, packed.batch_sizes)

        batch, lengths = pad_packed_sequence(packed, batch_first=True)  # (B, T, F)
        lengths = lengths.to(batch.device)
        output, final = route(self._stack(), batch, state, lengths, weights)

        return _pack_like(packed, output, lengths), self._as_hidden(final)

    def _members(self, hx: Hidden | None) -> State | None:
        if hx is None:
            return None
        return tuple(hx) if self.mode == "LSTM" else (hx,)  # type: ignore[return-value]

    def _initial_state(self, hx: Hidden | None, is_batched: bool) -> State | None:
        """Return the initial state with a batch dimension, None where there is none."""
        state = self._members(hx)
        if state is None:
            return None
        dims, kind = (3, "batched") if is_batched else (2, "unbatched")
        for member in state:
            if member.dim() != dims:
                raise RuntimeError(
                    f"For {kind} {dims}-D input, hx should also be {dims}-D "
                    f"but got {member.dim()}-D tensor"
                )
        return state if is_batched else tuple(member.unsqueeze(1) for member in state)

    def _check(self, input: Tensor, state: State | None, batch_sizes: Tensor | None) -> None:
        """Check shapes and types as torch.nn does."""
        if state is None:
            self.check_input(input, batch_sizes)
        else:
            self.check_forward_args(input, self._as_hidden(state), batch_sizes)  # type: ignore[arg-type]

    def _as_hidden(self, state: State) -> Hidden:
        return (state[0], state[1]) if self.mode == "LSTM" else state[0]

    def _stack(self) -> Stack:
        return Stack(
            cell=self.mode.lower(),  # type: ignore[arg-type]
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.training else 0.0,
        )

    def _weights(self) -> list[Weights]:
        return [self._layer_weights(*map(self._weight, names)) for names in self._all_weights]

    def _weight(self, name: str) -> Tensor:
        """By its name, which ``all_weights`` looks up in ten times as long."""
        found = self._parameters.get(name)
        if found is not None:
            return found
        return getattr(self, name)  # type: ignore[no-any-return]  # as by nn.utils.parametrize

    def _layer_weights(self, weight_ih: Tensor, weight_hh: Tensor, *others: Tensor) -> Weights:
        bias_ih, bias_hh = others[:2] if self.bias else (None, None)
        weight_hr = others[-1] if self.proj_size > 0 else None
        return Weights(weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)


def _are_plain_lengths(lengths: Any, batch: int) -> bool:
    """Tell whether C++ can read the lengths; it looks itself whether they are in 0..T."""
    return (
        type(lengths) is Tensor
        and lengths.dtype is torch.int64
        and lengths.shape == (batch,)
        and lengths.is_contiguous()
        and lengths.is_cpu
    )


def _pack_like(packed: PackedSequence, output: Tensor, lengths: Tensor) -> PackedSequence:
    """Pack outputs (B, T, D·P) in exactly the order in which the input was packed."""
    if packed.sorted_indices is not None:
        output = output.index_select(0, packed.sorted_indices)
        lengths = lengths.index_select(0, packed.sorted_indices)
    data = pack_padded_sequence(output, lengths.cpu(), batch_first=True).data
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)


class RNN(_Recurrent, nn.RNN):
    """A simple recurrent network (Elman 1990): :class:`torch.nn.RNN`, plus lengths and steps.

    h' = φ(W_ih x + b_ih + W_hh h + b_hh), with φ tanh or the rectifier.

    Parameters
    ----------
    input_size : int
        Features F of the input at a step.
    hidden_size : int
        Size H of the state.
    num_layers : int, default 1
        Number of layers L, each reading the outputs of the one below.
    nonlinearity : {"tanh", "relu"}, default "tanh"
        φ.
    bias : bool, default True
        Whether the layers have biases.
    batch_first : bool, default False
        Whether input and output are (B, T, ·) instead of (T, B, ·); states are not affected.
    dropout : float, default 0.0
        Probability with which an output of a layer but the last is zeroed in training.
    bidirectional : bool, default False
        Whether each layer also reads the sequence from its end.
    device, dtype : optional
        Of the parameters.

    Raises
    ------
    ValueError, TypeError
        As torch.nn.RNN, if an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import torch
    >>> layer = RNN(3, 4, batch_first=True)
    >>> output, h = layer(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> output.shape, h.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]))
    """


class LSTM(_Recurrent, nn.LSTM):
    """Long short-term memory: :class:`torch.nn.LSTM`, plus lengths, steps and a forget bias.

    The network of Hochreiter and Schmidhuber (1997) with the forget gate of Gers, Schmidhuber and
    Cummins (2000) and, on request, the projection of Sak, Senior and Beaufays (2014); equations
    in :func:`unspool.nn.reference.lstm_gates` and :func:`unspool.nn.reference.lstm_cell`. Weights
    and biases hold their four gates in the order input i, forget f, candidate g, output o.

    Parameters
    ----------
    input_size : int
        Features F of the input at a step.
    hidden_size : int
        Size H of the state c, and of h if there is no projection.
    num_layers : int, default 1
        Number of layers L, each reading the outputs of the one below.
    bias : bool, default True
        Whether the layers have biases.
    batch_first : bool, default False
        Whether input and output are (B, T, ·) instead of (T, B, ·); states are not affected.
    dropout : float, default 0.0
        Probability with which an output of a layer but the last is zeroed in training.
    bidirectional : bool, default False
        Whether each layer also reads the sequence from its end.
    proj_size : int, default 0
        Size P to which h is projected; 0 for no projection.
    device, dtype : optional
        Of the parameters.
    forget_bias : float, optional
        Initial bias of the forget gates. A bias of 1.0 lets the network remember from the start
        (Gers et al. 2000; Jozefowicz, Zaremba, Sutskever 2015); None draws it at random like the
        other biases, as torch does. Of the two biases, ``bias_ih`` gets the value and ``bias_hh``
        gets 0. It concerns the initialisation alone and is no part of the state dict.

    Raises
    ------
    ValueError, TypeError
        As torch.nn.LSTM, if an argument is out of range or of a wrong type; and if
        ``forget_bias`` is not a finite number, or is given without biases.

    Examples
    --------
    >>> import torch
    >>> layer = LSTM(3, 4, batch_first=True, forget_bias=1.0)
    >>> output, (h, c) = layer(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> output.shape, h.shape, c.shape
    (torch.Size([2, 5, 4]), torch.Size([1, 2, 4]), torch.Size([1, 2, 4]))
    >>> bool((output[1, 2:] == 0).all())
    True
    >>> layer
    LSTM(3, 4, batch_first=True, forget_bias=1.0)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        forget_bias: float | None = None,
    ) -> None:
        # Known before the base class initialises the parameters.
        self.forget_bias = _check_forget_bias(forget_bias, bias)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as torch.nn does, then set the forget gates' biases."""
        super().reset_parameters()
        if self.forget_bias is None:
            return
        forget = slice(self.hidden_size, 2 * self.hidden_size)  # gate order i, f, g, o
        with torch.no_grad():
            for weights in self._weights():
                assert weights.bias_ih is not None  # a forget bias without biases is refused
                assert weights.bias_hh is not None
                weights.bias_ih[forget] = self.forget_bias
                weights.bias_hh[forget] = 0.0

    def extra_repr(self) -> str:
        """Return the arguments that differ from their defaults."""
        arguments = super().extra_repr()
        return (
            arguments
            if self.forget_bias is None
            else f"{arguments}, forget_bias={self.forget_bias}"
        )


class GRU(_Recurrent, nn.GRU):
    """A gated recurrent unit (Cho et al. 2014): :class:`torch.nn.GRU`, plus lengths and steps.

    As in torch, the reset gate acts after the recurrent product; equations in
    :func:`unspool.nn.reference.gru_gates`. Weights and biases hold their three gates in the order
    reset r, update z, candidate n.

    Parameters
    ----------
    input_size : int
        Features F of the input at a step.
    hidden_size : int
        Size H of the state.
    num_layers : int, default 1
        Number of layers L, each reading the outputs of the one below.
    bias : bool, default True
        Whether the layers have biases.
    batch_first : bool, default False
        Whether input and output are (B, T, ·) instead of (T, B, ·); states are not affected.
    dropout : float, default 0.0
        Probability with which an output of a layer but the last is zeroed in training.
    bidirectional : bool, default False
        Whether each layer also reads the sequence from its end.
    device, dtype : optional
        Of the parameters.

    Raises
    ------
    ValueError, TypeError
        As torch.nn.GRU, if an argument is out of range or of a wrong type.

    Examples
    --------
    >>> import torch
    >>> layer = GRU(3, 4, batch_first=True, bidirectional=True)
    >>> output, h = layer(torch.zeros(2, 5, 3), lengths=[5, 2])
    >>> output.shape, h.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 2, 4]))
    """


def _check_forget_bias(forget_bias: float | None, bias: bool) -> float | None:
    if forget_bias is None:
        return None
    if (
        not isinstance(forget_bias, int | float)
        or isinstance(forget_bias, bool)
        or not math.isfinite(forget_bias)
    ):
        raise ValueError(
            f"forget_bias has {forget_bias!r}, expected a finite number or None; 1.0 is usual"
        )
    if not bias:
        raise ValueError(
            f"forget_bias has {forget_bias!r} but bias is False, expected biases to set; "
            "use bias=True, or leave forget_bias out"
        )
    return float(forget_bias)
