"""What a vocabulary is to the ``tokenizers`` library: its parts, and its file.

A file is not trusted and never handed to the library as it came. Its tokens and merges are read,
checked, and put together anew; whatever else stands in it must be what the library then writes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from unspool.errors import DataError

Unit = Literal["word", "character", "byte", "bpe"]

UNKNOWN = "<unk>"
END_OF_SENTENCE = "<eos>"

MAX_BYTES = 1 << 26
"""Bytes of a vocabulary file at most: some two million words."""


def byte_tokens() -> list[str]:
    """Return the characters that byte-level tokens are written in, one a byte, by its value.

    They are those of GPT-2's encoding: a byte that is a printable character of Latin 1 stands for
    itself, and the others are the characters from U+0100 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def assemble(
    unit: Unit,
    tokens: Mapping[str, int],
    merges: Sequence[tuple[str, str]] = (),
    *,
    end_of_sentence: bool = False,
) -> Tokenizer:
    """Put a tokenizer together; it takes a line of text at a time.

    Parameters
    ----------
    unit : {"word", "character", "byte", "bpe"}
    tokens : mapping of str to int
        Each token's number, from 0 on without a gap.
    merges : sequence of (str, str)
        For ``bpe``, in their order.
    end_of_sentence : bool
        For ``word``: whether ``<eos>`` is put after each line.
    """
    if unit == "word":
        tokenizer = Tokenizer(models.WordLevel(dict(tokens), unk_token=UNKNOWN))
        # Python, which counts the words, takes these four for white space, too.
        separators = pre_tokenizers.Split(Regex(r"[\x1c-\x1f]"), "removed")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), separators]
        )
        if end_of_sentence:
            tokenizer.post_processor = processors.TemplateProcessing(
                single=f"$A {END_OF_SENTENCE}",
                special_tokens=[(END_OF_SENTENCE, tokens[END_OF_SENTENCE])],
            )
        return tokenizer
    unknown = UNKNOWN if unit == "character" else None
    tokenizer = Tokenizer(models.BPE(dict(tokens), list(merges), unk_token=unknown))
    if unit == "character":
        tokenizer.decoder = decoders.Fuse()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=unit == "bpe"
        )
        tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def parse(content: bytes | bytearray, source: str) -> tuple[Unit, Tokenizer]:
    """Read a vocabulary file's content; ``source`` names it in messages.

    Raises
    ------
    DataError
        If it is no vocabulary such as :func:`assemble` makes; nothing of it is executed.
    """
    if len(content) > MAX_BYTES:
        _refuse(source, f"more than {MAX_BYTES} bytes")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source}: {error}; expected a vocabulary as JSON") from None
    if not isinstance(found, dict) or not isinstance(model := found.get("model"), dict):
        _refuse(source, "no object with a model")
    unit = _unit(found, model, source)
    tokens = _tokens(model, unit, source)
    merges = _merges(model, unit, tokens, source)
    ends = unit == "word" and found.get("post_processor") is not None
    if ends and END_OF_SENTENCE not in tokens:
        _refuse(source, f"no token {END_OF_SENTENCE}")
    tokenizer = assemble(unit, tokens, merges, end_of_sentence=ends)
    _compare(found, json.loads(tokenizer.to_str()), source)
    return unit, tokenizer


def _refuse(source: str, found: str) -> NoReturn:
    raise DataError(
        f"{source}: found {found}, expected a vocabulary.json that Unspool wrote; get the file anew"
    )


def _unit(found: dict[str, Any], model: dict[str, Any], source: str) -> Unit:
    """Tell the units apart by the parts that only one of them has."""
    kind, splitter = model.get("type"), found.get("pre_tokenizer")
    if kind == "WordLevel":
        return "word"
    if kind != "BPE":
        _refuse(source, f"a model of type {kind!r:.40}")
    if splitter is None:
        return "character"
    return "bpe" if isinstance(splitter, dict) and splitter.get("use_regex") is True else "byte"


def _tokens(model: dict[str, Any], unit: Unit, source: str) -> dict[str, int]:
    tokens = model.get("vocab")
    if not isinstance(tokens, dict) or not tokens:
        _refuse(source, "no tokens")
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError:
        _refuse(source, "a token with half of a surrogate pair")
    numbers = [number for number in tokens.values() if type(number) is int]
    if sorted(numbers) != list(range(len(tokens))):
        _refuse(source, f"tokens that are not numbered from 0 to {len(tokens) - 1}")
    if unit in ("word", "character") and UNKNOWN not in tokens:
        _refuse(source, f"no token {UNKNOWN}")
    if unit == "character" and any(len(token) != 1 for token in tokens if token != UNKNOWN):
        _refuse(source, "tokens of several characters")
    if unit == "byte" and tokens != {token: byte for byte, token in enumerate(byte_tokens())}:
        _refuse(source, "other tokens than the 256 bytes")
    if unit == "bpe" and not tokens.keys() >= set(byte_tokens()):
        _refuse(source, "not all of the 256 bytes among the tokens")
    return tokens


def _merges(
    model: dict[str, Any], unit: Unit, tokens: Mapping[str, int], source: str
) -> list[tuple[str, str]]:
    """Check the merges here: the library would end the program over some bad ones."""
    merges = model.get("merges", [])
    if not isinstance(merges, list) or (merges and unit != "bpe"):
        _refuse(source, "merges where there are none")
    for merge in merges:
        pair = isinstance(merge, list) and len(merge) == 2
        if not pair or not all(isinstance(part, str) and part in tokens for part in merge):
            _refuse(source, f"the merge {merge!r:.40}, no two tokens")
        if "".join(merge) not in tokens:
            _refuse(source, f"the merge {merge!r:.40}, which makes no token")
    return [(left, right) for left, right in merges]


def _compare(found: dict[str, Any], made: dict[str, Any], source: str) -> None:
    """Refuse what the file says beyond tokens and merges, if that is not what was put together.

    A key that is missing is none: another version of the library may not write it.
    """
    found_model = {**found["model"], "merges": None, "vocab": None}
    made_model = {**made["model"], "merges": None, "vocab": None}
    for ours, theirs in ((made, found), (made_model, found_model)):
        for key, value in theirs.items():
            if key not in ("model", "version") and value != ours.get(key) and value:
                _refuse(source, f"{key} = {json.dumps(value):.60}")
    for key in ("pre_tokenizer", "post_processor", "decoder"):
        if found.get(key) != made[key]:
            _refuse(source, f"{key} = {json.dumps(found.get(key)):.60}")
