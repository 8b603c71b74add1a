"""What Unspool raises when the fault is in the input, not in the program.

Every message names the file, key or argument, what was received, what was expected, and what to
do. The command line prints it as one line; a program can catch :class:`UnspoolError`.
"""


class UnspoolError(Exception):
    """Base of every error that Unspool explains to its user."""


class DataError(UnspoolError, ValueError):
    """Data that cannot be used: missing, corrupt, of the wrong shape, or not finite."""


class RecipeError(UnspoolError, ValueError):
    """A recipe with unknown keys or values out of range; the message lists all of them."""


class ModelFolderError(UnspoolError, ValueError):
    """A run or model folder that is incomplete, damaged, or does not match its description."""


class SaveError(UnspoolError, OSError):
    """A folder or file that could not be written; nothing half-written is left behind."""


class TrainingError(UnspoolError, RuntimeError):
    """A training that cannot go on, such as one whose gradients are no longer finite."""
