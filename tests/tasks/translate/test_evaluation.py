import json
import math

import pytest

from unspool import reports
from unspool.tasks.translate.evaluation import Answers, PairEvaluation, measure
from unspool.tasks.translate.scores import Score


def evaluation() -> PairEvaluation:
    scores = {"bleu": Score(12.5, "case:mixed")}
    answers = Answers(
        ("a", "b", "c"), ("x", "y\u2028z", "né"), ("x", "q", "ne"), scores, {"beam": 1}
    )
    return PairEvaluation("word", 9, math.log(2), 0.5, answers)


def test_perplexity_is_of_nats_and_may_be_too_great():
    assert measure(math.log(7)) == {"perplexity": pytest.approx(7)}
    assert measure(1e6) == {"perplexity": math.inf}


def test_all_figures_are_told():
    found = evaluation().summary()
    assert found == {
        "count": 9,
        "loss": math.log(2),
        "perplexity": pytest.approx(2),
        "accuracy": 0.5,
        "sequences": 3,
        "exact_match": pytest.approx(1 / 3),
        "bleu": 12.5,
        "signatures": {"bleu": "case:mixed"},
        "decoding": {"beam": 1},
    }
    (table,) = evaluation().tables()
    assert table.rows == [
        ("BLEU", "12.50"),
        ("answers exactly right", "33.33%"),
        ("words guessed right", "50.00%"),
    ]


def test_without_bleu_exact_answers_come_first():
    answers = Answers(("a",), ("x",), ("x",), {"chrf": Score(80.0, "nc:6")}, {})
    (table,) = PairEvaluation("character", 2, 1.0, 0.5, answers).tables()
    assert [name for name, _ in table.rows] == [
        "answers exactly right",
        "chrF",
        "characters guessed right",
    ]


def test_how_many_networks_spoke_is_told():
    assert "models" not in evaluation().summary()
    assert PairEvaluation("word", 9, 1.0, 0.5, models=3).summary()["models"] == 3


def test_without_answers_there_are_no_scores():
    found = PairEvaluation("word", 9, 1.0, 0.5)
    assert "bleu" not in found.summary()
    assert found.texts() == {}
    assert len(found.tables()[0].rows) == 1


def test_the_texts_are_beside_the_report_a_line_each(tmp_path):
    for _ in range(2):  # a second time in the place of the first
        reports.write(evaluation(), "pairs", tmp_path / "found")
    names = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert names == ["hypotheses.txt", "references.txt", "report.json", "sources.txt"]
    assert json.loads((tmp_path / "found" / "report.json").read_text())["bleu"] == 12.5
    written = (tmp_path / "found" / "hypotheses.txt").read_bytes()
    assert written == "x\ny z\nné\n".encode()
