"""What a classifier is trained on, from labelled sequences and checked parameters."""

from __future__ import annotations

from unspool.data.division import divide
from unspool.data.labelled_text import LabelledText
from unspool.data.labels import type_of
from unspool.data.sequences import Sequences, naming
from unspool.data.source import Division
from unspool.data.vocabulary import Vocabulary
from unspool.data.vocabulary_fitting import fit
from unspool.errors import RecipeError
from unspool.estimators.classifier_parameters import ClassWeight, SequenceClassifierParameters
from unspool.estimators.inputs import Labels
from unspool.tasks.classify.predictor import LabelPredictor
from unspool.tasks.classify.training import Classify, ClassWeights


def new_task(
    sequences: Sequences | LabelledText,
    labels: Labels,
    parameters: SequenceClassifierParameters,
    seed: int,
) -> Classify:
    """Divide the sequences, fit a vocabulary where they are texts, and draw a new network."""
    share = parameters.validation_fraction
    parts = divide(sequences.labels, len(sequences), validation=share, test=0.0)
    training, validation, test = (
        sequences.take(part) for part in (parts.train, parts.validation, parts.test)
    )
    vocabulary = None
    if isinstance(training, LabelledText):
        vocabulary = fit(training.texts, parameters.vocabulary)
    division = Division(
        tokens_of(training, vocabulary),
        tokens_of(validation, vocabulary),
        tokens_of(test, vocabulary),
        vocabulary,
    )
    predictor = LabelPredictor.untrained(
        division.training,
        parameters.model,
        seed,
        normalise=parameters.normalisation,
        objective=parameters.objective,
        label_type=type_of(labels.classes),
        vocabulary=vocabulary,
    )
    weights = _weights_by_name(parameters.class_weight, labels)
    return Classify(predictor, division, class_weights=weights, title="X")


def tokens_of(sequences: Sequences | LabelledText, vocabulary: Vocabulary | None) -> Sequences:
    """Sequences as they are, texts as those of their tokens."""
    if isinstance(sequences, Sequences):
        return sequences
    assert vocabulary is not None
    with naming("X"):
        return sequences.tokenised(vocabulary)


def _weights_by_name(weights: ClassWeight | None, labels: Labels) -> ClassWeights | None:
    """Class weights by the text of each label."""
    if weights is None or isinstance(weights, str):
        return weights
    names = dict(zip(labels.classes.tolist(), labels.names.tolist(), strict=True))
    unknown = [label for label in weights if label not in names]
    if unknown:
        raise RecipeError(
            f"class_weight names {unknown[0]!r}, expected labels of y: "
            f"{', '.join(map(repr, names))}"
        )
    return {names[label]: weight for label, weight in weights.items()}
