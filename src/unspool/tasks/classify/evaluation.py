"""How well a classifier's answers agree with the true labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.tasks.classify.calibration import Reliability
from unspool.tasks.classify.stopping import AnswersByStep, EarlyAnswers
from unspool.tasks.evaluation import Evaluation, Table


@dataclass(frozen=True)
class LabelEvaluation(Evaluation):
    """Figures of one part of the data.

    Parameters
    ----------
    classes : tuple of str
    count : int
        Sequences judged.
    loss : float
        Mean negative log-likelihood of the true labels, nats a sequence.
    accuracy : float
    confusion : (C, C) array of int
        How often the class of the row was taken for that of the column.
    accuracy_by_step : list of float, optional
        Accuracy after 1, 2, … steps.
    ece_by_step : list of float, optional
        Expected calibration error after 1, 2, … steps.
    reliability : tuple of Reliability
        How often answers are right by how sure they are, after half, three quarters and all of the
        steps; empty where it was not asked for.
    until : EarlyAnswers, optional
        What comes of answering as soon as the belief is strong enough.
    """

    classes: tuple[str, ...]
    count: int
    loss: float
    accuracy: float
    confusion: NDArray[np.int64]
    accuracy_by_step: list[float] | None = None
    ece_by_step: list[float] | None = None
    reliability: tuple[Reliability, ...] = ()
    until: EarlyAnswers | None = None

    @classmethod
    def of(
        cls,
        classes: Sequence[str],
        probabilities: NDArray[np.float64],
        targets: NDArray[np.int64],
        accuracy_by_step: list[float] | None = None,
    ) -> LabelEvaluation:
        """Judge probabilities ``(N, C)`` by the true classes ``(N,)``."""
        count = len(targets)
        answers = probabilities.argmax(1)
        true = probabilities[np.arange(count), targets]
        # The smallest positive number stands in for a probability that underflowed.
        loss = -np.log(np.maximum(true, np.finfo(np.float64).tiny)).sum() / count
        return cls(
            tuple(classes),
            count,
            float(loss),
            float((answers == targets).sum() / count),
            _confusion(targets, answers, len(classes)),
            accuracy_by_step,
        )

    def by_step(self, answers: AnswersByStep) -> LabelEvaluation:
        """The same, with accuracy and calibration after each step."""
        calibration = answers.calibration()
        steps = len(calibration)
        shown = dict.fromkeys((max(steps // 2, 1), max(3 * steps // 4, 1), steps))
        return replace(
            self,
            accuracy_by_step=answers.accuracies,
            ece_by_step=[after.error for after in calibration],
            reliability=tuple(calibration[step - 1] for step in shown),
        )

    @property
    def metrics(self) -> dict[str, float]:
        """The accuracy."""
        return {"accuracy": self.accuracy}

    def summary(self) -> dict[str, Any]:
        """Loss and accuracy; by step, and of early answers, where that was asked for."""
        found = super().summary()
        if self.accuracy_by_step is not None:
            found["accuracy_by_step"] = self.accuracy_by_step
        if self.ece_by_step is not None:
            found["ece_by_step"] = self.ece_by_step
        if self.until is not None:
            found["until"] = asdict(self.until.chosen)
        return found

    def report(self) -> dict[str, Any]:
        """All figures, those of each class among them."""
        return {
            **asdict(self),
            "confusion": self.confusion.tolist(),
            "by_class": self.by_class(),
        }

    def tables(self) -> list[Table]:
        """The figures of each class, and after each step where that was asked for."""
        rows = [
            (
                row["label"],
                *(f"{row[figure]:.2%}" for figure in ("precision", "recall", "f1")),
                f"{row['count']:,}",
            )
            for row in self.by_class()
        ]
        tables = [Table(("class", "precision", "recall", "F1", "count"), rows)]
        if self.accuracy_by_step is not None:
            tables.append(self._steps_read(self.accuracy_by_step))
        if self.until is not None:
            tables.append(_early_answers(self.until))
        return tables

    def _steps_read(self, accuracies: list[float]) -> Table:
        steps = [
            (str(step), f"{accuracy:.2%}") for step, accuracy in enumerate(accuracies, start=1)
        ]
        if self.ece_by_step is None:
            return Table(("steps read", "accuracy"), steps, align="left")
        rows = [(*row, f"{error:.2%}") for row, error in zip(steps, self.ece_by_step, strict=True)]
        return Table(("steps read", "accuracy", "calibration error"), rows)

    def by_class(self) -> list[dict[str, Any]]:
        """Precision, recall, F1 and count of each class; 0 where nothing was so called."""
        from sklearn.metrics import precision_recall_fscore_support  # takes a second to import

        rows, columns = np.nonzero(self.confusion)
        figures = precision_recall_fscore_support(
            rows,
            columns,
            labels=range(len(self.classes)),
            sample_weight=self.confusion[rows, columns],
            zero_division=0,
        )
        return [
            {
                "label": label,
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "count": int(count),
            }
            for label, precision, recall, f1, count in zip(self.classes, *figures, strict=True)
        ]


def _early_answers(found: EarlyAnswers) -> Table:
    """The stop that was asked for, and what stronger and weaker beliefs would have come to."""
    stops = {stop.belief: stop for stop in found.landmarks}
    stops[found.chosen.belief] = found.chosen
    rows = [
        (
            f"{'> ' if stop is found.chosen else ''}{stop.belief:.6g}",
            f"{stop.accuracy:.2%}",
            f"{stop.mean_steps:.2f}",
        )
        for _, stop in sorted(stops.items())
    ]
    return Table(("answers at a belief of", "accuracy", f"steps read of {found.steps:g}"), rows)


def _confusion(
    targets: NDArray[np.int64], answers: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Count how often each class was taken for each, ``(C, C)``."""
    pairs = np.bincount(targets * classes + answers, minlength=classes * classes)
    return pairs.reshape(classes, classes)
