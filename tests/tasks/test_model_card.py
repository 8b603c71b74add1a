from unspool.data.source import SequenceDataSettings
from unspool.tasks import model_card


def test_a_card_says_what_a_reader_wants_to_know(make_task):
    task = make_task(num_layers=2, bidirectional=True)
    task.predictor.data = SequenceDataSettings(name="digits")
    card = model_card.write(
        task.predictor, {"loss": 0.5, "accuracy": 0.98765}, 'task = "classify"\n'
    )
    count = sum(parameter.numel() for parameter in task.model.parameters())
    for words in (
        "# A sequence classifier trained on digits",
        f"2 LSTM layers of 5 units ({count:,} parameters)",
        "```\nunspool predict MODEL INPUT\n```",
        "in nats a sequence.",
        "3 features a step from both ends",
        "which of 3 classes",
        "| accuracy | 0.9877 |",
        '```toml\ntask = "classify"\n```',
        "## Limits",
    ):
        assert words in card


def test_a_card_without_figures_or_recipe(make_task):
    card = model_card.write(make_task().predictor, {})
    assert "trained on data in memory" in card
    assert "1 LSTM layer of 5 units" in card
    assert "There was no such part." in card
    assert "## Recipe" not in card
