"""Training and decoding an encoder-decoder with attention: ours, and the same written plainly.

The sizes are those of ``multi30k-en-fr``. The plain twin has the form that tutorials have: a
PackedSequence through nn.GRU or nn.LSTM, a Python loop over the decoder's steps with a cell, a
score for each step of the source and a readout at each, cross_entropy of all logits,
clip_grad_norm_ and AdamW; in decoding a loop in which all hypotheses of a batch go on until the
last is done, chosen by topk. Both have the same weights, which is checked by the loss, by its
gradient and by what they decode. Ours is what ``unspool train`` and ``unspool predict`` run.

Sources and targets are random tokens with the lengths of such captions. A network that has learned
nothing ends no hypothesis, so each is cut off at its source's length. Steps and batches of both
sides take turns, so that a machine whose speed drifts treats both alike.

    python benchmarks/seq2seq.py --threads 2
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unspool.data.pair_batches import PairBatch
from unspool.decoding.beam import beam_search
from unspool.decoding.greedy import greedy
from unspool.decoding.settings import BeamSettings
from unspool.models.encoder_decoder import EncoderDecoder, EncoderDecoderSettings
from unspool.models.memory import attention_of
from unspool.nn.evaluation import evaluating
from unspool.nn.keeping import keep_packed
from unspool.tasks.translate.judging import read_targets
from unspool.training.optimization import OptimizerSettings, clip_gradients
from unspool.training.precision import Precision, computing_in

TOKENS, EMBEDDING, HIDDEN = 8000, 256, 320
BATCH_TOKENS, CLIP, RATE = 2000, 1.0, 0.003
BEGIN, END, SPECIAL = 2, 3, 4  # as JoeyNMT has them; SPECIAL is how many are no words

T = TypeVar("T")
_Parts = tuple[Any, ...]
"""Tensors, or tuples of them."""


class _Plain(nn.Module):
    """The same network, a step at a time."""

    def __init__(self, cell: str, feeds: bool) -> None:
        super().__init__()
        self.cell, self.feeds = cell, feeds
        layer, step = {"gru": (nn.GRU, nn.GRUCell), "lstm": (nn.LSTM, nn.LSTMCell)}[cell]
        self.embedding = nn.Embedding(TOKENS, EMBEDDING)
        self.encoder = layer(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.starts = nn.ModuleList(
            nn.Linear(2 * HIDDEN, 2 * HIDDEN) for _ in range(2 if cell == "lstm" else 1)
        )
        self.first = step(EMBEDDING + (EMBEDDING if feeds else 0), HIDDEN)
        self.second = step(HIDDEN + (0 if feeds else EMBEDDING), HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.key = nn.Linear(2 * HIDDEN, HIDDEN, bias=False)
        self.energy = nn.Linear(HIDDEN, 1, bias=False)
        self.value = nn.Linear(2 * HIDDEN, EMBEDDING, bias=False)
        self.readout = nn.Linear(HIDDEN, EMBEDDING)
        self.bias = nn.Parameter(torch.zeros(TOKENS))

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[_Parts, _Parts]:
        packed = pack_padded_sequence(
            self.embedding(source), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, final = self.encoder(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        finals = final if isinstance(final, tuple) else (final,)
        starts = [
            start(member.transpose(0, 1).flatten(1)).chunk(2, 1)
            for start, member in zip(self.starts, finals, strict=True)
        ]
        starts[0] = tuple(map(torch.tanh, starts[0]))
        padding = torch.arange(source.shape[1]) >= lengths[:, None]
        memory = (self.key(outputs), self.value(outputs), padding)
        seen = outputs.new_zeros(len(source), EMBEDDING)
        layers = [tuple(member[number] for member in starts) for number in range(2)]
        return memory, (*layers, seen)

    def step(self, tokens: Tensor, memory: _Parts, state: _Parts) -> tuple[Tensor, _Parts]:
        first, second, seen = state
        x = self.embedding(tokens)
        first = self._run(self.first, torch.cat([x, seen], 1) if self.feeds else x, first)
        if self.feeds:
            second = self._run(self.second, first[0], second)
            seen = self._look(second[0], memory)
        else:
            seen = self._look(first[0], memory)
            second = self._run(self.second, torch.cat([first[0], seen], 1), second)
        hidden = torch.tanh(self.readout(second[0]) + seen)
        return hidden, (first, second, hidden if self.feeds else seen)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight, self.bias)

    def _run(self, cell: nn.Module, x: Tensor, state: _Parts) -> _Parts:
        after = cell(x, state if self.cell == "lstm" else state[0])
        return after if self.cell == "lstm" else (after,)

    def _look(self, query: Tensor, memory: _Parts) -> Tensor:
        keys, values, padding = memory
        scores = self.energy(torch.tanh(self.query(query)[:, None] + keys)).squeeze(2)
        weights = scores.float().masked_fill(padding, -torch.inf).softmax(1)
        found: Tensor = (weights[:, None] @ values.float()).squeeze(1)
        return found

    def loss(self, batch: PairBatch) -> Tensor:
        memory, state = self.encode(batch.source, batch.source_lengths)
        logits = []
        for step in range(batch.target.shape[1] - 1):
            hidden, state = self.step(batch.target[:, step], memory, state)
            logits.append(self.logits(hidden))
        targets = batch.target[:, 1:].masked_fill(
            torch.arange(1, batch.target.shape[1]) >= batch.target_lengths[:, None], -100
        )
        return F.cross_entropy(torch.stack(logits, 1).flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def decode(self, source: Tensor, lengths: Tensor, beam: int) -> list[list[int]]:
        memory, state = self.encode(source, lengths)
        sentences, first = len(source), torch.arange(len(source))[:, None] * beam
        memory = tuple(part.repeat_interleave(beam, 0) for part in memory)
        state = _each(state, lambda part: part.repeat_interleave(beam, 0))
        totals = torch.full((sentences, beam), -torch.inf)
        totals[:, 0] = 0
        tokens = torch.full((sentences * beam,), BEGIN)
        found = torch.empty(sentences * beam, 0, dtype=torch.int64)
        done = torch.zeros(sentences, dtype=torch.bool)
        for length in range(1, int(lengths.max()) + 1):
            hidden, state = self.step(tokens, memory, state)
            said = self.logits(hidden).float().log_softmax(1).view(sentences, beam, TOKENS)
            candidates = (totals[:, :, None] + said).flatten(1)
            best, indices = candidates.topk(beam, 1)
            rows = (first + indices // TOKENS).flatten()
            chosen = (indices % TOKENS).flatten()
            rows = torch.where(done.repeat_interleave(beam), torch.arange(len(rows)), rows)
            chosen = chosen.masked_fill(done.repeat_interleave(beam), END)
            totals = torch.where(done[:, None], totals, best)
            state = _each(state, partial(torch.index_select, dim=0, index=rows))
            found, tokens = torch.cat([found[rows], chosen[:, None]], 1), chosen
            done = done | (lengths <= length)
        return [
            row[:n] for row, n in zip(found[first[:, 0]].tolist(), lengths.tolist(), strict=True)
        ]


def _each(state: _Parts, change: Callable[[Tensor], Tensor]) -> _Parts:
    first, second, seen = state
    return tuple(map(change, first)), tuple(map(change, second)), change(seen)


def _twin(ours: EncoderDecoder) -> _Plain:
    """The plain network with our weights."""
    settings = ours.settings
    plain = _Plain(settings.cell, settings.input_feeding)
    weights = ours.state_dict()
    recurrent = {name.removesuffix("_l0"): name for name in ("weight_ih_l0", "weight_hh_l0")}
    recurrent |= {name.removesuffix("_l0"): name for name in ("bias_ih_l0", "bias_hh_l0")}
    names = {
        "embedding.weight": "target_embedding.weight",
        "bias": "output.bias",
        "energy.weight": "decoder.attention.energy",
    }
    for number, cell in enumerate(("first", "second")):
        for name, ending in recurrent.items():
            names[f"{cell}.{name}"] = f"decoder.layers.{number}.{ending}"
    for part in ("query", "key"):
        names[f"{part}.weight"] = f"decoder.attention.{part}.weight"
    names["query.bias"] = "decoder.attention.query.bias"
    names |= {
        name: f"decoder.{name}" for name in ("value.weight", "readout.weight", "readout.bias")
    }
    for name in plain.state_dict():
        if name.startswith("encoder."):
            names[name] = name.replace("encoder.", "encoder.layers.0.")
        elif name.startswith("starts."):
            names[name] = name.replace("starts.", "bridge.projections.")
    loaded = {name: weights[names[name]] for name in plain.state_dict()}
    loaded["energy.weight"] = loaded["energy.weight"][None]
    plain.load_state_dict(loaded)
    return plain


# --- the two sides -------------------------------------------------------------------------


def our_step(model: EncoderDecoder, precision: Precision) -> Callable[[PairBatch], Tensor]:
    optimizer = OptimizerSettings(name="adamw", lr=RATE).build(model)

    def step(batch: PairBatch) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with computing_in(precision, torch.device("cpu")):
            hidden, targets = read_targets(model, batch)
            loss = model.nats(hidden, targets) / len(targets)
        loss.backward()  # type: ignore[no-untyped-call]
        assert math.isfinite(clip_gradients(list(model.parameters()), CLIP))
        assert math.isfinite(float(loss.detach()))
        optimizer.step()
        return loss.detach()

    return step


def _plain_step(model: _Plain, precision: Precision) -> Callable[[PairBatch], Tensor]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)

    def step(batch: PairBatch) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss.detach()

    return step


def our_decode(
    model: EncoderDecoder, source: Tensor, lengths: Tensor, beam: int
) -> list[list[int]]:
    with evaluating(model):
        return _decoded(model, source, lengths, beam)


def _decoded(model: EncoderDecoder, source: Tensor, lengths: Tensor, beam: int) -> list[list[int]]:
    settings = BeamSettings(beam=beam, max_length=100, max_length_factor=1.0)
    state = model.initial_state(model.encode(source, lengths))
    start = torch.full((len(source),), BEGIN)
    given = (model.steps(), state, start, END, settings)
    options: dict[str, Any] = {"source_lengths": lengths, "attention": attention_of}
    if beam == 1:
        return [list(found.tokens) for found in greedy(*given, **options)]
    return [list(best.tokens) for best, *_ in beam_search(*given, **options)]


# --- what they do --------------------------------------------------------------------------


def random_batches(random: np.random.Generator, count: int) -> list[PairBatch]:
    """Pairs of neighbouring lengths, as training has them."""
    made = []
    for _ in range(count):
        longest = int(np.clip(random.normal(14, 4), 6, 30))
        made.append(random_batch(random, BATCH_TOKENS // longest, longest - 2, longest))
    return made


def random_batch(random: np.random.Generator, pairs: int, shortest: int, longest: int) -> PairBatch:
    def side() -> tuple[Tensor, Tensor]:
        lengths = random.integers(shortest, longest + 1, pairs)
        lengths[0] = longest
        tokens = random.zipf(1.2, (pairs, longest)) % (TOKENS - SPECIAL) + SPECIAL
        tokens[np.arange(pairs), lengths - 1] = END
        return torch.from_numpy(tokens), torch.from_numpy(lengths)

    (source, source_lengths), (target, target_lengths) = side(), side()
    target[:, 0] = BEGIN
    return PairBatch(source, source_lengths, target, target_lengths, torch.arange(pairs))


def our_model(
    cell: str, feeds: bool, embedding: int = EMBEDDING, tied: bool = True
) -> EncoderDecoder:
    torch.manual_seed(1)
    settings = EncoderDecoderSettings(
        cell=cell,  # type: ignore[arg-type]
        embedding_size=embedding,
        hidden_size=HIDDEN,
        num_decoder_layers=2,
        bidirectional=True,
        attention="additive",
        input_feeding=feeds,
        tie_weights=tied,
    )
    return EncoderDecoder(TOKENS, TOKENS, settings, shared_vocabulary=True)


def _check(ours: EncoderDecoder, plain: _Plain) -> None:
    """Both are the same function, with the same gradient, and decode the same."""
    batch = random_batch(np.random.default_rng(3), 8, 4, 9)
    hidden, targets = read_targets(ours, batch)
    losses = [ours.nats(hidden, targets) / len(targets), plain.loss(batch)]
    torch.testing.assert_close(*losses)
    gradients = [
        torch.autograd.grad(loss, weight)[0]
        for loss, weight in zip(
            losses, (ours.target_embedding.weight, plain.embedding.weight), strict=True
        )
    ]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)
    for beam in (1, 3):
        given = (batch.source, batch.source_lengths, beam)
        assert our_decode(ours, *given) == plain.decode(*given), f"beam {beam} differs"


def _train(arguments: argparse.Namespace, cell: str, feeds: bool, precision: Precision) -> None:
    ours = our_model(cell, feeds)
    plain = _twin(ours)
    _check(ours.eval(), plain)
    steps = {"ours": our_step(ours.train(), precision), "plain": _plain_step(plain, precision)}
    batches = random_batches(np.random.default_rng(1), arguments.rounds)
    rates: dict[str, list[float]] = {side: [] for side in steps}
    for batch in [batches[0], *batches]:
        tokens = int(batch.target_lengths.sum()) - len(batch)
        for side, step in steps.items():
            _, seconds = timed(step, batch)
            rates[side].append(tokens / seconds)
    tell(f"train  {cell:5}{'feeding' if feeds else '-':8}{precision:5}", rates, "tokens/s")


def _decode(arguments: argparse.Namespace, cell: str, feeds: bool, beam: int, batch: int) -> None:
    ours = our_model(cell, feeds).eval()
    keep_packed(ours)  # as every model that is loaded
    plain = _twin(ours)
    random = np.random.default_rng(2)
    rates: dict[str, list[float]] = {"ours": [], "plain": []}
    sides: dict[str, Callable[..., Sequence[object]]] = {
        "ours": lambda *given: our_decode(ours, *given),
        "plain": plain.decode,
    }
    for turn in range(1 + (arguments.rounds if batch == 1 else max(arguments.rounds // 4, 2))):
        cut = random_batch(random, batch, 6, 24 if batch > 1 else 14)
        for side, decode in sides.items():
            _, seconds = timed(decode, cut.source, cut.source_lengths, beam)
            if turn:
                rates[side].append(batch / seconds)
    tell(f"decode {cell:5}{'feeding' if feeds else '-':8}beam {beam:2} of {batch:2}", rates, "/s")


def timed(work: Callable[..., T], *given: object) -> tuple[T, float]:
    """What comes of the work, and how many seconds it took."""
    start = time.perf_counter()
    result = work(*given)
    return result, time.perf_counter() - start


def tell(case: str, rates: dict[str, list[float]], unit: str) -> None:
    """Print the medians of our rates, of the other side's, and of the ratios of each turn."""
    ours, other = map(statistics.median, rates.values())
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    print(f"{case:34} {ours:10,.1f} {other:10,.1f} {unit:9} ratio {ratio:5.2f}", flush=True)


def main() -> None:
    arguments = options(__doc__).parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{'':34} {'ours':>10} {'plain':>10}")
    for cell in arguments.cells:
        for feeds in (False, True):
            for precision in arguments.precisions:
                _train(arguments, cell, feeds, precision)
            for batch in (1, 64):
                for beam in (1, 5, 12):
                    _decode(arguments, cell, feeds, beam, batch)


def options(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20, help="timed batches of each side")
    return parser


if __name__ == "__main__":
    main()
