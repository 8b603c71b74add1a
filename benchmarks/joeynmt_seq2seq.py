"""Training and decoding an encoder-decoder with attention: ours, and JoeyNMT 2.3.0's.

JoeyNMT's side is its own throughout: the model of its ``build_model``, its ``Batch``, loss and
optimiser with the steps of its training loop, and its ``search``. Its decoder feeds its input: the
first layer reads what attention saw a step before. Ours is timed twice: with input feeding, and
without, where the second layer reads it in the same step, with as many weights.

Both have the sizes of ``multi30k-en-fr``, one layer of encoder in each direction and two of
decoder, and equally large products everywhere. But nothing is tied: JoeyNMT can tie the output
layer only where the embedding has the hidden size. ``--embedding 320`` makes it so, and ties all
three matrices on both sides.

What differs: ours has a bias in the output layer and one in the attention's queries, and starts
each layer of the decoder from a projection of its own, and an LSTM's c from another of the
encoder's c; JoeyNMT starts all of them from one projection of h. A GRU of ours with input feeding
can be given JoeyNMT's weights, and then is the same function: checked by the loss, by its gradient
and by what both decode. JoeyNMT counts which tokens were predicted rightly as it trains, and
returns no attention from its beam search; our training does not count, and our searches keep the
attention of each token. JoeyNMT's own settings know no bf16 on a processor: here its step is given
the autocast that it would use.

Batches and turns are those of ``seq2seq.py``. JoeyNMT's search knows one greatest length for a
batch, so all sources of a batch to be decoded are equally long, and neither side can end a
hypothesis before it is as long as they are.

JoeyNMT wants an old protobuf, so an environment of its own is best, and it does not say that it
needs importlib-metadata:

    pip install joeynmt==2.3.0 importlib-metadata
    python benchmarks/joeynmt_seq2seq.py --threads 2
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from seq2seq import (
    BEGIN,
    CLIP,
    EMBEDDING,
    END,
    HIDDEN,
    RATE,
    SPECIAL,
    TOKENS,
    options,
    our_decode,
    our_model,
    our_step,
    random_batch,
    random_batches,
    tell,
    timed,
)
from torch import Tensor, nn

from unspool.data.pair_batches import PairBatch
from unspool.models.encoder_decoder import EncoderDecoder
from unspool.nn.keeping import keep_packed
from unspool.tasks.translate.judging import read_targets
from unspool.training.precision import Precision

try:
    from joeynmt.batch import Batch
    from joeynmt.builders import build_gradient_clipper, build_optimizer
    from joeynmt.model import Model, build_model
    from joeynmt.search import search
    from joeynmt.vocabulary import Vocabulary
except ImportError as error:
    sys.exit(
        f"this compares with JoeyNMT, which cannot be imported ({error}); "
        "pip install joeynmt==2.3.0 importlib-metadata"
    )

PADDING, LENGTH = 1, 14  # the padding is JoeyNMT's; so long are captions
NEVER = [PADDING, BEGIN, END]  # in a hypothesis


def _joey_model(cell: str, embedding: int) -> Model:
    torch.manual_seed(1)
    layers: dict[str, Any] = {"type": "recurrent", "rnn_type": cell, "hidden_size": HIDDEN}
    layers["embeddings"] = {"embedding_dim": embedding}
    decoder = {"attention": "bahdanau", "input_feeding": True, "init_hidden": "bridge"}
    settings = {
        "encoder": {**layers, "num_layers": 1, "bidirectional": True},
        "decoder": {**layers, "num_layers": 2, **decoder},
        "tied_embeddings": _tied(embedding),
        "tied_softmax": _tied(embedding),
    }
    model = build_model(settings, _vocabulary(), _vocabulary())
    model.loss_function = ("crossentropy", 0.0)
    return model


@cache
def _vocabulary() -> Vocabulary:
    special = {"unk": 0, "pad": PADDING, "bos": BEGIN, "eos": END}
    signs = {f"{name}_token": f"<{name}>" for name in special}
    numbers = {f"{name}_id": number for name, number in special.items()}
    words = [str(number) for number in range(SPECIAL, TOKENS)]
    made = Vocabulary(words, SimpleNamespace(**signs, **numbers, sep_token=None, lang_tags=[]))
    assert len(made) == TOKENS
    return made


def _tied(embedding: int) -> bool:
    return embedding == HIDDEN


def _joey_batch(batch: PairBatch) -> Batch:
    def padded(tokens: Tensor, lengths: Tensor) -> Tensor:
        return tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], PADDING)

    return Batch(
        src=padded(batch.source, batch.source_lengths),
        src_length=batch.source_lengths,
        src_prompt_mask=None,
        trg=padded(batch.target, batch.target_lengths),
        trg_prompt_mask=None,
        indices=batch.numbers,
        device=torch.device("cpu"),
        pad_index=PADDING,
        eos_index=END,
    )


def _joey_step(model: Model, precision: Precision) -> Callable[[Batch], float]:
    """What JoeyNMT's ``TrainManager`` does with a batch."""
    optimizer = build_optimizer(
        {"optimizer": "adamw", "learning_rate": RATE, "adam_betas": (0.9, 0.999)},
        model.parameters(),
    )
    clip = build_gradient_clipper({"clip_grad_norm": CLIP, "clip_grad_val": None})

    def step(batch: Batch) -> float:
        model.train()
        batch.sort_by_src_length()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            total, _, _, right = model(return_type="loss", **vars(batch))
        loss = batch.normalize(total, "tokens")
        loss.backward()
        told: float = loss.item()
        right.item()
        clip(parameters=model.parameters())
        optimizer.step()
        model.zero_grad()
        return told

    return step


def _joey_decode(model: Model, batch: Batch, beam: int) -> list[list[int]]:
    """What JoeyNMT's ``predict`` does with a batch."""
    order = batch.sort_by_src_length()
    most = batch.src.shape[1]
    limits = {"max_output_length": most, "min_output_length": most}
    found, _, _ = search(model, batch, beam_size=beam, beam_alpha=-1, **limits)
    tokens: list[list[int]] = found[order].tolist()
    return tokens


# --- the same function ---------------------------------------------------------------------


def _check(ours: EncoderDecoder, joey: Model) -> None:
    """Ours says, learns and decodes the same with JoeyNMT's weights."""
    ours.load_state_dict(_in_our_words(joey, ours))
    batch = random_batch(np.random.default_rng(3), 8, 6, 9)
    hidden, targets = read_targets(ours, batch)
    theirs = _joey_batch(batch)
    theirs.sort_by_src_length()
    losses = [
        ours.nats(hidden, targets) / len(targets),
        joey(return_type="loss", **vars(theirs))[0] / theirs.ntokens,
    ]
    torch.testing.assert_close(*losses)
    weights = (ours.target_embedding.weight, joey.trg_embed.lut.weight)
    gradients = [
        torch.autograd.grad(loss, weight)[0] for loss, weight in zip(losses, weights, strict=True)
    ]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)
    _never_end(ours)
    cut = random_batch(np.random.default_rng(4), 8, 9, 9)
    for beam in (1, 3):
        found = _joey_decode(joey, _joey_batch(cut), beam)
        assert our_decode(ours, cut.source, cut.source_lengths, beam) == found, f"beam {beam}"


def _in_our_words(joey: Model, ours: EncoderDecoder) -> dict[str, Tensor]:
    """JoeyNMT's weights of a GRU by the names of ours; zeros for the biases that it lacks."""
    theirs = joey.state_dict()
    known, seen = theirs["decoder.att_vector_layer.weight"].split((HIDDEN, 2 * HIDDEN), 1)
    weights = {
        "source_embedding.weight": theirs["src_embed.lut.weight"],
        "target_embedding.weight": theirs["trg_embed.lut.weight"],
        "bridge.projections.0.weight": theirs["decoder.bridge_layer.weight"].repeat(2, 1),
        "bridge.projections.0.bias": theirs["decoder.bridge_layer.bias"].repeat(2),
        "decoder.attention.query.weight": theirs["decoder.attention.query_layer.weight"],
        "decoder.attention.key.weight": theirs["decoder.attention.key_layer.weight"],
        "decoder.attention.energy": theirs["decoder.attention.energy_layer.weight"][0],
        "decoder.readout.weight": known,
        "decoder.value.weight": seen,
        "decoder.readout.bias": theirs["decoder.att_vector_layer.bias"],
        "output.weight": theirs["decoder.output_layer.weight"],
    }
    for name, value in theirs.items():
        half, _, rest = name.partition(".rnn.")
        if rest:
            layer = rest.split("_l")[1][0]
            weights[f"{half}.layers.{layer}.{rest.replace(f'_l{layer}', '_l0')}"] = value
    own = ours.state_dict()
    return {name: weights.get(name, torch.zeros_like(value)) for name, value in own.items()}


@torch.no_grad()
def _never_end(ours: EncoderDecoder) -> None:
    """Leave out of our hypotheses what JoeyNMT's search leaves out."""
    ours.output.bias[NEVER] = -1e4


# --- what they do --------------------------------------------------------------------------


def _train(arguments: argparse.Namespace, cell: str, feeds: bool, precision: Precision) -> None:
    ours, joey = _both(arguments, cell, feeds)
    our_turn, joey_turn = our_step(ours.train(), precision), _joey_step(joey, precision)
    batches = random_batches(np.random.default_rng(1), arguments.rounds)
    rates: dict[str, list[float]] = {"ours": [], "JoeyNMT": []}
    for batch in [batches[0], *batches]:
        theirs = _joey_batch(batch)
        tokens = int(batch.target_lengths.sum()) - len(batch)
        assert theirs.ntokens == tokens
        rates["ours"].append(tokens / timed(our_turn, batch)[1])
        rates["JoeyNMT"].append(tokens / timed(joey_turn, theirs)[1])
    tell(f"train  {_case(cell, feeds)}{precision:5}", rates, "tokens/s")


def _decode(arguments: argparse.Namespace, cell: str, feeds: bool, beam: int, batch: int) -> None:
    ours, joey = _both(arguments, cell, feeds)
    keep_packed(ours)  # as every model that is loaded
    _never_end(ours)
    random = np.random.default_rng(2)
    rates: dict[str, list[float]] = {"ours": [], "JoeyNMT": []}
    for turn in range(1 + (arguments.rounds if batch == 1 else max(arguments.rounds // 4, 2))):
        cut = random_batch(random, batch, LENGTH, LENGTH)
        work: dict[str, tuple[Any, ...]] = {
            "ours": (our_decode, ours, cut.source, cut.source_lengths, beam),
            "JoeyNMT": (_joey_decode, joey, _joey_batch(cut), beam),
        }
        for side, given in work.items():
            found, seconds = timed(*given)
            assert [len(tokens) for tokens in found] == [LENGTH] * batch
            if turn:
                rates[side].append(batch / seconds)
    tell(f"decode {_case(cell, feeds)}beam {beam:2} of {batch:2}", rates, "/s")


def _case(cell: str, feeds: bool) -> str:
    return f"{cell:5}{'feeding' if feeds else '-':8}"


def _both(arguments: argparse.Namespace, cell: str, feeds: bool) -> tuple[EncoderDecoder, Model]:
    size = arguments.embedding
    return our_model(cell, feeds, size, _tied(size)).eval(), _joey_model(cell, size).eval()


def _count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--embedding", type=int, default=EMBEDDING, help="size; 320 ties weights")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable(logging.INFO)  # JoeyNMT tells of each model that it builds
    _check(our_model("gru", True, tied=False).eval(), _joey_model("gru", EMBEDDING).eval())
    print(f"{'':34} {'ours':>10} {'JoeyNMT':>10}")
    for cell in arguments.cells:
        for feeds in (True, False):
            ours, joey = map(_count, _both(arguments, cell, feeds))
            print(f"{'size   ' + _case(cell, feeds):34} {ours:10,} {joey:10,} weights")
            for precision in arguments.precisions:
                _train(arguments, cell, feeds, precision)
            for batch in (1, 64):
                for beam in (1, 5, 12):
                    _decode(arguments, cell, feeds, beam, batch)


if __name__ == "__main__":
    main()
