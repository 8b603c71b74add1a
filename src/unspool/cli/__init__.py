"""The command line: one file a command."""

import sys


def main() -> None:
    """Run the command that the arguments name; explain a failure in one line, exit status 1.

    ``--debug`` anywhere among the arguments shows the traceback instead.
    """
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        from unspool.cli.app import app

        app(arguments, prog_name="unspool")
    except BrokenPipeError:  # the reader of our output has left, as head does
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt:  # before any command could say so
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        print(f"unspool: {_in_one_line(error)}", file=sys.stderr)
        sys.exit(1)


def _in_one_line(error: Exception) -> str:
    from unspool.errors import UnspoolError

    message = " ".join(str(error).split())
    if isinstance(error, UnspoolError):
        return message
    return f"{type(error).__name__}: {message} (--debug shows where)"
