import json

import numpy as np
import pytest

from unspool import reports
from unspool.data.source import SequenceDataSettings
from unspool.errors import DataError, SaveError
from unspool.tasks import model_folder


@pytest.fixture
def predictor(digits_run):
    return model_folder.load(digits_run)


def test_a_part_of_a_model_s_own_data(predictor):
    sequences, title = reports.part_of_its_data(predictor, "test")
    assert (len(sequences), title) == (599, "digits (test part)")
    assert reports.part_of_its_data(predictor, "validation")[1] == "digits (validation part)"
    assert len(reports.part_of_its_data(predictor, "train")[0]) == 400  # its recipe's limit


def test_a_part_that_is_not_there(predictor):
    predictor.data = SequenceDataSettings(name="digits", test=0.0)
    with pytest.raises(DataError, match=r"digits \(test part\) is empty: the recipe divides"):
        reports.part_of_its_data(predictor, "test")
    predictor.data = None
    with pytest.raises(DataError, match="trained on data in memory; name a file"):
        reports.part_of_its_data(predictor, "test")


def test_a_labelled_file_is_read_by_the_model_s_own_columns(predictor, tmp_path):
    pytest.importorskip("polars")
    path = tmp_path / "own.csv"
    path.write_text("id,step,x,label\na,0,1,7\na,1,2,7\n")
    columns = {"sequence": "id"}
    predictor.data = SequenceDataSettings(name="digits", columns=columns)
    sequences, title = reports.labelled_file(predictor, path)
    assert (sequences.labels.tolist(), sequences.num_features, title) == (["7"], 1, str(path))


def test_the_files_of_a_report(predictor, tmp_path):
    sequences, title = reports.part_of_its_data(predictor, "test")
    evaluation = predictor.evaluate(sequences, title, by_step=True)
    reports.write(evaluation, title, tmp_path / "report")
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["accuracy-by-step.png", "confusion.png", "reliability.png", "report.json"]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["accuracy"] == evaluation.accuracy
    assert np.sum(report["confusion"]) == 599
    assert [row["label"] for row in report["by_class"]] == [str(digit) for digit in range(10)]
    assert len(report["accuracy_by_step"]) == 8
    evaluation = predictor.evaluate(sequences, title, until=0.9)
    reports.write(evaluation, title, tmp_path / "report")
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["confusion.png", "report.json", "until.png"]  # nothing of the earlier one


def test_a_report_never_replaces_what_is_no_report(predictor, digits_run, tmp_path):
    sequences, title = reports.part_of_its_data(predictor, "validation")
    evaluation = predictor.evaluate(sequences, title)
    (tmp_path / "thesis.tex").write_text("years of work")
    for folder in (tmp_path, digits_run, tmp_path / "thesis.tex"):
        with pytest.raises(SaveError):
            reports.write(evaluation, title, folder)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert (digits_run / "recipe.toml").is_file()
