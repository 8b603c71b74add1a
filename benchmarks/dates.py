"""What the library dateparser reads of the dates that the recipe ``dates`` is tested on.

Twice: without and with the language told, which the network is never told. A day counts as read if
year, month and day are right. ``pip install dateparser`` first; beside it, what a trained model
says of the same texts.

    python benchmarks/dates.py --count 3000 --model runs/dates
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import dateparser
from dateparser.data.languages_info import language_order

from unspool.data.dates import WrittenDate, written

Reader = Callable[[WrittenDate], str | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0, help="data.seed of the recipe")
    parser.add_argument("--model", type=Path, help="a run or model folder of such a recipe")
    arguments = parser.parse_args()
    dates = list(islice(written("test", arguments.seed), arguments.count))
    known = sum(_language(each.locale) in language_order for each in dates)
    print(f"{len(dates):,} dates, {known:,} of them in languages that dateparser knows")
    _judge("dateparser, language not told", dates, lambda each: _parsed(each.text, None))
    _judge("dateparser, language told", dates, _told)
    if arguments.model is not None:
        _judge_model(arguments.model, dates)


def _language(locale: str) -> str:
    return {"zh_Hans": "zh-Hans", "zh_Hant": "zh-Hant"}.get(locale, locale.split("_")[0])


def _told(each: WrittenDate) -> str | None:
    language = _language(each.locale)
    return _parsed(each.text, [language] if language in language_order else None)


def _parsed(text: str, languages: list[str] | None) -> str | None:
    found = dateparser.parse(text, languages=languages)
    return None if found is None else found.date().isoformat()


def _judge(title: str, dates: list[WrittenDate], read: Reader) -> None:
    start = time.perf_counter()
    answers = [read(each) for each in dates]
    _tell(title, dates, answers, time.perf_counter() - start)


def _judge_model(path: Path, dates: list[WrittenDate]) -> None:
    from unspool.tasks import model_folder
    from unspool.tasks.translator import TextTranslator

    model = model_folder.load(path)
    assert isinstance(model, TextTranslator)
    start = time.perf_counter()
    answers = [best.text for best, *_ in model.translate([each.text for each in dates])]
    _tell("unspool, language not told", dates, answers, time.perf_counter() - start)


def _tell(
    title: str, dates: list[WrittenDate], answers: Sequence[str | None], seconds: float
) -> None:
    right = sum(answer == each.day.isoformat() for answer, each in zip(answers, dates, strict=True))
    none = sum(answer is None for answer in answers)
    print(f"{title:32} {right / len(dates):8.2%} right, {none:5,} not read, {seconds:6.1f} s")


if __name__ == "__main__":
    main()
