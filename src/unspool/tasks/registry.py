"""Every task by its name, as ``task`` has it in a recipe and in a model folder's config.json."""

from __future__ import annotations

from typing import NamedTuple

from unspool.tasks.classify.description import ClassifyDescription
from unspool.tasks.classify.training import ClassifySettings
from unspool.tasks.draw.description import DrawDescription
from unspool.tasks.draw.training import DrawSettings
from unspool.tasks.predict.predictor import PredictDescription
from unspool.tasks.predict.training import PredictSettings
from unspool.tasks.predictor import Description
from unspool.tasks.task import TaskSettings
from unspool.tasks.translate.description import TranslateDescription
from unspool.tasks.translate.training import TranslateSettings


class TaskKind(NamedTuple):
    """What a task's name stands for.

    Parameters
    ----------
    settings : type of TaskSettings
        The task's part of a recipe; builds what is to be trained.
    description : type of Description
        The task's part of a config.json; builds what answers.
    """

    settings: type[TaskSettings]
    description: type[Description]


TASKS = {
    "classify": TaskKind(ClassifySettings, ClassifyDescription),
    "predict": TaskKind(PredictSettings, PredictDescription),
    "translate": TaskKind(TranslateSettings, TranslateDescription),
    "draw": TaskKind(DrawSettings, DrawDescription),
}


def find(name: object) -> TaskKind | None:
    """The task of that name, whatever a file gives as its name; None where there is none."""
    return TASKS.get(name) if isinstance(name, str) else None
