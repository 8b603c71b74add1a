import json
from dataclasses import asdict, replace

import pytest

from unspool.errors import SaveError
from unspool.training.report import MetricsFile, Record, TensorBoard, read_metrics

RECORD = Record(10, 2, 1.5, "train", 0.25, {"accuracy": 0.9, "lr": 0.1, "skipped": 0})


def record_of(step: int) -> dict[str, object]:
    return asdict(replace(RECORD, step=step))


def test_records_are_lines_of_json_and_come_back(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    for _ in range(2):
        file.recorded(RECORD)
    assert len(path.read_text().splitlines()) == 2
    assert list(json.loads(path.read_text().splitlines()[0])) == [
        "step",
        "epoch",
        "seconds",
        "split",
        "loss",
        "metrics",
    ]
    assert [Record(**record) for record in read_metrics(path)] == [RECORD, RECORD]


def test_no_file_has_no_records(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_a_line_that_is_no_record_costs_none(tmp_path):
    path = tmp_path / "metrics.jsonl"
    five, nine, twelve = (json.dumps(record_of(step)) for step in (5, 9, 12))
    lines = [five, "garbage", "[" * 100_000, '{"step": 7}', nine, twelve, '{"st']
    path.write_text("\n".join(lines))
    assert [record["step"] for record in read_metrics(path)] == [5, 9, 12]
    MetricsFile(path).forget_after(9)
    assert path.read_text() == f"{five}\n{nine}\n"


@pytest.mark.parametrize("rest", ['{"st', "[]\n", "{}\n", '{"step": "7"}\n', "\n"])
def test_what_came_after_a_step_is_forgotten(tmp_path, rest):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record_of(step)) + "\n" for step in (5, 10, 15)) + rest)
    MetricsFile(path).forget_after(10)
    assert read_metrics(path) == [record_of(5), record_of(10)]
    assert path.read_text().endswith("}\n")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SaveError, match=r"could not write .*metrics.jsonl: No such file"):
        MetricsFile(tmp_path / "nowhere" / "metrics.jsonl").recorded(RECORD)


def test_tensorboard_gets_every_figure(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    TensorBoard(tmp_path).recorded(RECORD)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    found = {tag: events.Scalars(tag)[0] for tag in events.Tags()["scalars"]}
    assert sorted(found) == ["accuracy/train", "loss/train", "lr/train", "skipped/train"]
    assert (found["loss/train"].step, found["loss/train"].value) == (10, 0.25)


def test_tensorboard_forgets_what_is_done_again(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first = TensorBoard(tmp_path)
    for step in (5, 10, 15):
        first.recorded(replace(RECORD, step=step))
    second = TensorBoard(tmp_path)
    second.forget_after(10)
    second.recorded(replace(RECORD, step=15))
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss/train")] == [5, 10, 15]
