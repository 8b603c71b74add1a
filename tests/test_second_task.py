"""A task that is not ``classify`` goes everywhere: the smallest language model there is.

It reads a pattern of three symbols that repeats itself, carries its hidden state from batch to
batch and from epoch to epoch, and is judged by its perplexity, of which less is better.
"""

import json
import math
from dataclasses import dataclass

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from matplotlib.ticker import PercentFormatter
from PIL import Image
from torch import nn

import unspool
from unspool import reports, runs
from unspool.errors import DataError, ModelFolderError, RecipeError, TrainingError
from unspool.inspection import plots
from unspool.recipes import recipe as recipes
from unspool.settings import Settings
from unspool.tasks import model_folder, registry
from unspool.tasks.evaluation import Evaluation
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import Description, Predictor
from unspool.tasks.registry import TaskKind
from unspool.tasks.task import Task, TaskSettings, Totals
from unspool.training import loop
from unspool.training.report import Observer
from unspool.training.state import TrainingState

STEPS = 4  # of a batch
EPOCHS, BATCHES = 4, 12  # BATCHES an epoch, of 3 streams
PERPLEXITY = Metric("perplexity", higher_is_better=False, format=".2f")


# --- the task ------------------------------------------------------------------------------


class Chain(nn.Module):
    """Symbols and a hidden state in, logits and the hidden state out."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, size)
        self.cell = nn.RNNCell(size, size)
        self.head = nn.Linear(size, 3)

    def forward(self, x, state):
        after = []
        for symbols in self.embedding(x).unbind(1):  # (B, H)
            state = self.cell(symbols, state)
            after.append(self.head(state))
        return torch.stack(after, 1), state  # (B, T, 3), (B, H)


class PatternSettings(Settings):
    name: str | None = None
    symbols: int = 150
    validation: int = 30

    @property
    def title(self) -> str:
        return "a pattern"

    def part(self, split: str) -> torch.Tensor:
        count = {"train": self.symbols, "validation": self.validation, "test": 0}[split]
        return torch.arange(count) % 5 % 3  # 0, 1, 2, 0, 1, and again


class ChainSettings(Settings):
    size: int = 6


@dataclass(frozen=True)
class Perplexity(Evaluation):
    count: int
    loss: float

    @property
    def metrics(self) -> dict[str, float]:
        return {"perplexity": math.exp(self.loss)}


class SymbolPredictor(Predictor):
    task = "continue"
    metrics = (PERPLEXITY,)
    unit = "symbol"
    kind = "A language model of three symbols"
    limits = "There are three symbols and no others."

    def __init__(self, model: Chain, data: PatternSettings | None) -> None:
        self.model = model
        self.data = data

    def start(self, streams: int) -> torch.Tensor:
        return torch.zeros(streams, self.model.cell.hidden_size)

    def read_part(self, split, data_dir):
        return self.data.part(split)

    def read_file(self, path):
        return torch.tensor(json.loads(path.read_text()))

    def evaluate(self, examples, title, by_step=False):
        if by_step:
            raise DataError(f"{title} cannot be judged by step; leave out --by-step")
        with self.answering():
            logits, _ = self.model(examples[None, :-1], self.start(1))
            loss = F.cross_entropy(logits[0], examples[1:], reduction="sum")
        return Perplexity(len(examples) - 1, float(loss) / (len(examples) - 1))

    def answers(self, source, top, by_step):
        text = source if isinstance(source, str) else source.read()
        with self.answering():
            x = torch.tensor([[int(symbol) for symbol in text.strip()]])
            belief = self.model(x, self.start(1))[0][0, -1].softmax(0)
        order = belief.argsort(descending=True)[:top].tolist()
        ranked = [{"label": str(i), "probability": float(belief[i])} for i in order]
        yield {"input": text.strip(), "id": "0", **ranked[0], "top": ranked}

    def description(self):
        return {"size": self.model.cell.hidden_size, "data": self.data.model_dump()}

    def summary(self):
        return "A chain."


class ChainDescription(Description):
    size: int
    data: PatternSettings

    def predictor(self, vocabulary):
        with torch.device("meta"):
            return SymbolPredictor(Chain(self.size), self.data)


class Continue(Task):
    def __init__(self, predictor: SymbolPredictor) -> None:
        self.predictor = predictor
        self._hidden = None

    def batches_an_epoch(self, batch_size):
        return (self.predictor.data.symbols // batch_size - 1) // STEPS

    def training_batches(self, batch_size, seed, epoch):
        streams = self.predictor.data.part("train").view(batch_size, -1)
        for place in range(self.batches_an_epoch(batch_size)):
            yield place * STEPS, streams[:, place * STEPS :][:, : STEPS + 1]

    def loss(self, batch):
        _, streams = batch
        hidden = self.predictor.start(len(streams)) if self._hidden is None else self._hidden
        logits, hidden = self.model(streams[:, :-1], hidden)
        self._hidden = hidden.detach()
        symbols = streams[:, 1:].flatten()
        loss = F.cross_entropy(logits.flatten(0, 1), symbols, reduction="sum")
        return Totals(loss, torch.tensor(float(len(symbols))), len(symbols))

    def examples(self, batch):
        return f"the symbols from {batch[0]} on"

    def measure(self, totals):
        return {"perplexity": float(totals.mean_loss.exp())}

    def validate(self):
        part = self.predictor.data.part("validation")
        if len(part) == 0:
            return None
        evaluation = self.predictor.evaluate(part, "validation")
        return {"loss": evaluation.loss, **evaluation.metrics}

    def state_dict(self):
        return {} if self._hidden is None else {"hidden": self._hidden}

    def load_state_dict(self, state):
        self._hidden = state.get("hidden")


class ContinueSettings(TaskSettings):
    data: PatternSettings = PatternSettings()
    model: ChainSettings = ChainSettings()

    @property
    def data_set(self):
        return self.data.name

    @property
    def has_validation(self):
        return self.data.validation > 0

    @property
    def has_test(self):
        return True

    def build(self, seed, data_dir=None):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Continue(SymbolPredictor(Chain(self.model.size), self.data))


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(registry.TASKS, "continue", TaskKind(ContinueSettings, ChainDescription))


TRAINING = {"epochs": EPOCHS, "batch_size": 3, "report_every": 5}


def described(**values) -> recipes.NamedRecipe:
    recipe = {"task": "continue", "training": TRAINING, **values}
    return recipes.NamedRecipe("own", recipes.check(recipe, "own"))


@pytest.fixture
def run(tmp_path):
    runs.train(described(), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def recipe_file(tmp_path):
    (tmp_path / "own.toml").write_text(described().recipe.to_toml())
    return tmp_path / "own.toml"


# --- recipes -------------------------------------------------------------------------------


def test_a_recipe_has_the_sections_of_its_task(recipe_file):
    recipe = recipes.load(recipe_file, ["data.symbols=99", "model.size=3"]).recipe
    assert isinstance(recipe, recipes.Recipe)
    assert (recipe.data.symbols, recipe.model.size, recipe.training.epochs) == (99, 3, EPOCHS)
    assert recipes.load(recipe_file) == described()
    with pytest.raises(RecipeError, match=r"model\.siz: unknown key, did you mean model\.size\?"):
        recipes.load(recipe_file, ["model.siz=3"])
    with pytest.raises(RecipeError, match=r"model\.size: unknown key"):
        recipes.load("digits", ["model.size=3"])


def test_an_unknown_task_is_told_those_there_are_and_what_else_is_wrong():
    values = {"task": "sing", "data": {"song": 1}, "seed": -1, "training": {"epochs": 0}}
    with pytest.raises(RecipeError) as error:
        recipes.check(values, "own")
    assert str(error.value) == (
        "own: task = 'sing', expected 'classify' or 'predict' or 'translate' or 'draw' or "
        "'continue'; "
        "seed = -1, expected greater than or equal to 0; "
        "training.epochs = 0, expected greater than or equal to 1"
    )


def test_watching_a_validation_part_that_is_not_there_is_refused():
    with pytest.raises(RecipeError, match="training patience watches the validation part"):
        described(training={**TRAINING, "patience": 1}, data={"validation": 0})


# --- a run ---------------------------------------------------------------------------------


def test_records_hold_the_task_s_own_metrics(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [record for record in records if record["split"] == "train"]
    assert [record["step"] for record in train[:3]] == [5, 10, 12]
    assert list(train[0]["metrics"]) == ["perplexity", "lr", "skipped"]
    validation = [record for record in records if record["split"] == "validation"]
    assert list(validation[0]["metrics"]) == ["perplexity"]
    for record in records:
        assert record["metrics"]["perplexity"] == pytest.approx(math.exp(record["loss"]), rel=1e-5)


def test_a_batch_that_cannot_be_used_is_named_by_the_task():
    task, settings = described().recipe.build(1), described().recipe.training
    nn.init.constant_(task.model.head.bias, math.nan)
    with pytest.raises(TrainingError, match=r"or look at the symbols from 16 on$"):
        loop.train(TrainingState.start(task, settings), settings, 1)


def test_the_card_names_metric_and_unit(run):
    card = (run / "model" / "README.md").read_text()
    assert "# A language model of three symbols trained on a pattern\n\nA chain. Made by" in card
    assert "| perplexity (lower is better) | " in card
    assert "The loss is in nats a symbol." in card
    assert "There are three symbols and no others." in card


def test_the_curves_are_those_of_the_headline(run, monkeypatch):
    monkeypatch.setattr(plots, "_png", lambda figure: figure)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = min((r for r in records if r["split"] == "validation"), key=lambda r: r["loss"])
    figure = plots.curves(records, "run", PERPLEXITY, "symbol")
    loss, perplexity = figure.axes
    assert (loss.get_title(), loss.get_ylabel()) == ("loss", "nats a symbol")
    assert perplexity.get_title() == "perplexity (lower is better)"
    assert not isinstance(perplexity.yaxis.get_major_formatter(), PercentFormatter)
    assert len(perplexity.lines[0].get_xdata()) == len(records) - EPOCHS
    assert f"perplexity {best['metrics']['perplexity']:.2f}" in figure.get_suptitle()
    with Image.open(run / "curves.png") as picture:
        assert picture.format == "PNG"


def test_a_rate_can_be_searched_for():
    recipe = described().recipe
    search = runs.search_lr(recipe)
    assert len(search.rates) > 10
    assert runs.search_lr(recipe) == search


# --- stopped and resumed -------------------------------------------------------------------


class Stop(Observer):
    def __init__(self, step: int) -> None:
        self._step = step

    def stepped(self, state, totals):
        if state.progress.step == self._step:
            raise KeyboardInterrupt


def left_by(folder) -> dict[str, object]:
    found = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    for checkpoint in (folder / "checkpoints").iterdir():
        found[checkpoint.name] = (checkpoint / "state.safetensors").read_bytes()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [{**json.loads(line), "seconds": 0} for line in lines]
    return found


def stop_and_resume(folder, step: int) -> dict[str, object]:
    with pytest.raises(KeyboardInterrupt):
        runs.train(described(), folder, observers=[Stop(step)])
    runs.resume(folder)
    return left_by(folder)


@pytest.mark.parametrize("step", [1, BATCHES, BATCHES + 5, 3 * BATCHES + 1])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(run, tmp_path, step):
    assert stop_and_resume(tmp_path / "parts", step) == left_by(run)


def test_what_is_carried_from_batch_to_batch_is_in_the_checkpoint(run, tmp_path, monkeypatch):
    """Without it the resumed run would be another one: the state does reach the next epoch."""
    newest = run / "checkpoints" / f"step-{EPOCHS * BATCHES}" / "state.safetensors"
    hidden = safetensors.torch.load_file(newest)["task.hidden"]
    assert hidden.shape == (3, 6)
    assert hidden.abs().sum() > 0
    monkeypatch.setattr(Continue, "state_dict", Task.state_dict)
    parts = stop_and_resume(tmp_path / "parts", BATCHES + 5)
    assert parts["model.safetensors"] != left_by(run)["model.safetensors"]


def test_a_task_that_carries_nothing_refuses_what_another_carried(run, monkeypatch):
    monkeypatch.setattr(Continue, "load_state_dict", Task.load_state_dict)
    with pytest.raises(ModelFolderError, match="state of hidden, expected none for this task"):
        runs.resume(run)


# --- the trained model ---------------------------------------------------------------------


def test_a_model_folder_is_read_by_its_task(run, same_weights):
    loaded = model_folder.load(run)
    assert isinstance(loaded, SymbolPredictor)
    trained = runs.resume(run)
    evaluation = loaded.evaluate(*reports.part_of_its_data(loaded, "validation"))
    assert {"loss": evaluation.loss, **evaluation.metrics} == trained.validation
    with pytest.raises(DataError, match=r"a pattern \(test part\) is empty"):
        reports.part_of_its_data(loaded, "test")


def test_a_classifier_is_not_made_of_it(run):
    with pytest.raises(ModelFolderError, match="of task 'continue', expected 'classify'"):
        unspool.load(run)


# --- the commands --------------------------------------------------------------------------


def test_training_prints_the_headline(command, recipe_file, tmp_path):
    status, out, err = command("train", recipe_file, "--out", tmp_path / "R")
    assert status == 0
    for line in err.splitlines():
        assert line.count("  perplexity ") == 2
        assert "accuracy" not in line
        assert "%" not in line
    first = out.splitlines()[0]
    assert ", validation perplexity " in first
    assert "%" not in first
    assert command("resume", tmp_path / "R").out.startswith(f"{EPOCHS} epochs in ")


def test_the_bar_counts_in_the_task_s_unit(command, recipe_file, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    status, _, err = command("train", recipe_file, "--out", tmp_path / "R")
    assert status == 0
    assert "symbols/s" in err
    assert "sequences" not in err


def test_evaluation_in_words_and_as_an_object(command, run, tmp_path):
    status, out, _ = command("evaluate", run, "--split", "validation")
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("validation: perplexity ")
    assert " of 29, loss " in lines[0]
    assert lines[0].endswith(" nats a symbol")
    summary = json.loads(command("evaluate", run, "--split", "validation", "--json").out)
    assert list(summary) == ["task", "split", "count", "loss", "perplexity"]
    folder = run / "evaluation-validation"
    assert [path.name for path in folder.iterdir()] == ["report.json"]
    assert json.loads((folder / "report.json").read_text())["count"] == 29
    (tmp_path / "own.json").write_text("[0, 1, 2]")
    assert "own.json: perplexity" in command("evaluate", run, "--data", tmp_path / "own.json").out
    assert "leave out --by-step" in command("evaluate", run, "--split", "train", "--by-step").err


def test_predictions(command, run):
    found = json.loads(command("predict", run, "0120", "--top", "3", "--json").out)
    assert found["task"] == "continue"
    (answer,) = found["predictions"]
    assert sum(rank["probability"] for rank in answer["top"]) == pytest.approx(1)
    assert command("predict", run, stdin="0120\n").out.startswith(f"0120[0]  {answer['label']} ")
