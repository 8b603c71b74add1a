import json
import math

import pytest

from unspool.tasks.draw.evaluation import PictureEvaluation


def test_figures_in_nats_and_in_bits():
    evaluation = PictureEvaluation(784, 10, 80.0, {})
    assert evaluation.metrics["nats_per_image"] == 80
    assert evaluation.metrics["bits_per_pixel"] == pytest.approx(80 / 784 / math.log(2))
    assert evaluation.tables() == []
    assert evaluation.summary() == {"count": 10, "loss": 80.0, **evaluation.metrics}


def test_figures_by_label_and_by_row():
    evaluation = PictureEvaluation(4, 3, 3.5, {"one": 2.0, "two": 4.25}, [1.5, 2.0])
    labels, rows = evaluation.tables()
    assert labels.rows == [("one", "2.00"), ("two", "4.25")]
    assert rows.rows == [("1", "1.500"), ("2", "2.000")]
    assert evaluation.summary()["loss_by_row"] == [1.5, 2.0]
    report = json.loads(json.dumps(evaluation.report()))
    assert report["loss_by_label"] == {"one": 2.0, "two": 4.25}
    assert report["nats_per_image"] == 3.5
