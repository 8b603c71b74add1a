"""A recurrent network that answers a sequence with a sequence.

Shapes: ``B`` sentences, ``K`` hypotheses of each, ``N = B·K``; ``S`` steps of the source, ``T`` of
the target, ``P`` size of what the output layer reads, ``V`` tokens of the target's vocabulary.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unspool.errors import RecipeError
from unspool.models.decoder import Decoder, TargetReading
from unspool.models.decoder_inference import Reader, make_ready, only_numbers
from unspool.models.encoder import Bridge, Encoder, reverse
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.models.memory import DecoderState, Memory, attention_of
from unspool.nn import levels
from unspool.nn.cross_entropy import linear_cross_entropy
from unspool.nn.decoder_step import GreedyRun
from unspool.nn.dropout import embed_with_dropout
from unspool.nn.keeping import Keeping, Kept
from unspool.nn.lengths import check_lengths, valid_steps

__all__ = ["DecoderState", "EncoderDecoder", "EncoderDecoderSettings", "Memory", "TargetReading"]

_EMBEDDING_RANGE = 0.1


class EncoderDecoder(Keeping, nn.Module):
    """An encoder that reads the source, and a decoder that tells what the target goes on with.

    Sutskever, Vinyals & Le 2014, arXiv 1409.3215; with attention after Bahdanau et al. 2015, arXiv
    1409.0473, and Luong et al. 2015, arXiv 1508.04025. To train on a target and to write one are
    the same step: :meth:`read`, of many tokens or of one.

    Parameters
    ----------
    num_source_tokens, num_target_tokens : int
        Sizes of the vocabularies; the second is ``V``.
    settings : EncoderDecoderSettings
    shared_vocabulary : bool
        Whether both are one vocabulary; then tied weights serve the source, too.

    Raises
    ------
    RecipeError
        If the settings do not fit the vocabularies.

    Examples
    --------
    >>> settings = EncoderDecoderSettings(hidden_size=4, attention="additive")
    >>> model = EncoderDecoder(10, 12, settings).eval()
    >>> memory = model.encode(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2]))
    >>> state = model.initial_state(memory).repeat(5)
    >>> log_probabilities, state = model.step(torch.ones(10, dtype=torch.int64), state)
    >>> log_probabilities.shape, state.attention.shape
    (torch.Size([10, 12]), torch.Size([10, 3]))
    """

    _kept: Kept[Reader | None] | None = None

    def __init__(
        self,
        num_source_tokens: int,
        num_target_tokens: int,
        settings: EncoderDecoderSettings,
        *,
        shared_vocabulary: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.source_embedding = None  # the target's, where there is one for both
        if settings.tie_weights and shared_vocabulary:
            _check_shared(num_source_tokens, num_target_tokens, settings)
        else:
            self.source_embedding = nn.Embedding(num_source_tokens, settings.source_size)
        self.target_embedding = nn.Embedding(num_target_tokens, settings.target_size)
        self.encoder = Encoder(settings)
        self.bridge = Bridge(settings)
        self.decoder = Decoder(settings.directions * settings.hidden_size, settings)
        self.output = nn.Linear(settings.readout_size, num_target_tokens)
        if settings.tie_weights:
            self.output.register_parameter("weight", None)  # the embedding's
        self._draw_weights()

    def _draw_weights(self) -> None:
        """Redraw what is not to be as torch draws it."""
        with torch.no_grad():
            for embedding in (self.source_embedding, self.target_embedding):
                if embedding is not None:
                    embedding.weight.uniform_(-_EMBEDDING_RANGE, _EMBEDDING_RANGE)
            if self.settings.tie_weights:
                self.output.bias.zero_()
            if self.settings.init is not None:
                for parameter in self.parameters():
                    parameter.uniform_(-self.settings.init, self.settings.init)

    # --- the source --------------------------------------------------------------------------

    def encode(self, source: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Memory:
        """Read the source.

        Parameters
        ----------
        source : (B, S) int64 tensor
            Right-padded by any tokens of the vocabulary.
        lengths : (B,) int64 tensor or sequence of int, optional
            Valid tokens of each sentence, 0 allowed; all ``S`` when not given.

        Returns
        -------
        Memory
            Its steps are in the order of ``source``, also where it was read in reverse.

        Raises
        ------
        ValueError
            If the lengths do not fit the batch.
        """
        if lengths is None:
            lengths = torch.full(source.shape[:1], source.shape[1])
        batch, steps = source.shape
        lengths = check_lengths(lengths, batch, steps, source.device)
        if steps == 0:
            source = F.pad(source, (0, 1))  # the layers need a step, if only of padding
        backwards = self.settings.reverse_source
        tokens = reverse(source, lengths) if backwards else source
        outputs, final = self.encoder(
            self._embedded(tokens, self.source_embedding or self.target_embedding), lengths
        )
        if backwards and self.settings.attention != "none":
            outputs = reverse(outputs, lengths)
        every = [member.transpose(0, 1).flatten(1) for layer in final for member in layer]
        return self.decoder.remember(
            outputs, ~valid_steps(lengths, source.shape[1]), self.bridge(final), torch.cat(every, 1)
        )

    # --- the target --------------------------------------------------------------------------

    def initial_state(self, memory: Memory) -> DecoderState:
        """The state before a target's first token, one hypothesis a sentence."""
        return self.decoder.begin(memory)

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor | Sequence[int] | None,
        target_inputs: Tensor,
        target_lengths: Tensor | None = None,
    ) -> TargetReading:
        """Read the source, and then a target of each that is known already.

        Parameters
        ----------
        source : (B, S) int64 tensor
        source_lengths : (B,) int64 tensor or sequence of int, optional
        target_inputs : (B, T) int64 tensor
            What the decoder reads, from the sign that a target begins to its last token.
        target_lengths : (B,) int64 tensor, optional
            All ``T`` when not given; see :meth:`~unspool.models.decoder.Decoder.forward`.

        Returns
        -------
        TargetReading
        """
        state = self.initial_state(self.encode(source, source_lengths))
        return self.read(target_inputs, state, target_lengths)

    def read(
        self, tokens: Tensor, state: DecoderState, lengths: Tensor | None = None
    ) -> TargetReading:
        """Read on in the target of each hypothesis, ``(N, T)``."""
        return self.decoder(  # type: ignore[no-any-return]
            self._embedded(tokens, self.target_embedding), state, lengths
        )

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Read one token more of each hypothesis, ``(N,)``, and say what comes next.

        Returns
        -------
        log_probabilities : (N, V) tensor
        state : DecoderState
        """
        ready = self._ready() if tokens.is_cpu else None
        if ready is not None:
            answer = ready.step(tokens, state)
            if answer is not None:
                return answer
        reading = self.read(tokens[:, None], state)
        return self.log_probabilities(reading.hidden[:, 0]), reading.state

    @torch.no_grad()
    def steps(self) -> Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]:
        """Return :meth:`step` for a single search, which asks no gradients.

        Whether the packed weights serve is looked up here, and not at each step: until the search
        is over, neither weights, modules and their hooks nor autocast may change. Where they do,
        the search may also go many steps at once, see :class:`SearchSteps`.
        """
        ready = self._ready()
        return self.step if ready is None else SearchSteps(self, ready)

    def _ready(self) -> Reader | None:
        """A step that is ready to be run; None where the modules themselves are."""
        if not self._scopes:
            return None
        kept = self._kept
        if kept is None or not kept.serves(levels.kernel()):
            kept = self._kept = make_ready(
                self, self.decoder, self.target_embedding, self._output_weight, self.output
            )
        return kept.ready if only_numbers(kept.modules) else None

    # --- answers -----------------------------------------------------------------------------

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Of every token of the vocabulary, ``(…, V)`` from hidden values ``(…, P)``; nats."""
        logits = F.linear(hidden, self._output_weight, self.output.bias)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The negative log-likelihood of targets ``(N,)`` after hidden values ``(N, P)``, summed.

        In training with label smoothing it is the cross-entropy with the smoothed targets. The
        logits of all positions are never held.
        """
        return linear_cross_entropy(
            hidden,
            self._output_weight,
            self.output.bias,
            targets,
            label_smoothing=self.settings.label_smoothing if self.training else 0.0,
        )

    def _embedded(self, tokens: Tensor, embedding: nn.Embedding) -> Tensor:
        return embed_with_dropout(
            tokens, embedding, self.settings.dropout.words if self.training else 0.0
        )

    @property
    def _output_weight(self) -> Tensor:
        return self.target_embedding.weight if self.settings.tie_weights else self.output.weight


class SearchSteps:
    """The steps of a single search, one by one or many at once.

    Parameters
    ----------
    model : EncoderDecoder
    ready : Reader
        Of its packed weights.
    """

    attention = staticmethod(attention_of)

    def __init__(self, model: EncoderDecoder, ready: Reader) -> None:
        self._model, self._ready = model, ready

    def __call__(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Do as :meth:`EncoderDecoder.step`."""
        answer = None if torch.is_grad_enabled() else self._ready.step(tokens, state)
        return self._model.step(tokens, state) if answer is None else answer

    def go_on(
        self, tokens: Tensor, state: DecoderState, *, excluded: Sequence[int], end: int, most: int
    ) -> tuple[GreedyRun, DecoderState] | None:
        """Go on greedily, see :meth:`unspool.models.decoder_inference.Reader.go_on`."""
        if torch.is_grad_enabled():
            return None
        return self._ready.go_on(tokens, state, excluded=excluded, end=end, most=most)


def _check_shared(
    num_source_tokens: int, num_target_tokens: int, settings: EncoderDecoderSettings
) -> None:
    if num_source_tokens != num_target_tokens:
        raise RecipeError(
            f"the source's vocabulary has {num_source_tokens} tokens and the target's "
            f"{num_target_tokens}, expected one vocabulary that both share"
        )
    if settings.source_size != settings.target_size:
        raise RecipeError(
            f"model.target_embedding_size = {settings.target_size}, expected "
            f"{settings.source_size}, the source's: tied weights are one embedding where both have "
            "one vocabulary; leave it out"
        )
