"""Every error a user can cause, as one tree; caught once, in ``cli/app.py``.

    DlxError                          exit code
    ├── UsageError                    2   a file not found, an option that cannot hold on this machine
    │   └── ConfigError               2   faults of a config (see config/diagnostics.py)
    ├── DataError                     3   data that cannot be used: missing, malformed, too few
    ├── RunError                      3   a run directory that cannot be made, written, read or locked
    │   └── CheckpointError           3   a checkpoint that is truncated, corrupted or foreign
    ├── DivergedError                 4   every member diverged
    ├── CheckError                    4   a check failed
    ├── PartlyDivergedError           5   some members diverged, the others have results
    └── RunInterruptedError            130 (SIGINT) or 143 (SIGTERM); the run can be resumed

Anything else that escapes is a bug: exit code 1, with its traceback. A message says what was expected, what was
found and how to mend it.
"""

import signal


class DlxError(Exception):
    """Base of every error that is not a bug; ``exit_code`` is what the process returns."""

    exit_code = 1


class UsageError(DlxError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """A config with faults; the message is the rendered list of all of them."""


class DataError(DlxError):
    """The data cannot be used as the config asks."""

    exit_code = 3


class RunError(DlxError):
    """A run directory cannot be made, written, read or locked."""

    exit_code = 3


class CheckpointError(RunError):
    """A checkpoint is truncated, corrupted or belongs to another experiment."""


class DivergedError(DlxError):
    """Every member's loss stopped being finite."""

    exit_code = 4


class CheckError(DlxError):
    """Something that must be equal, or right, is not."""

    exit_code = 4


class PartlyDivergedError(DlxError):
    """Some members diverged; the results of the others are written."""

    exit_code = 5


class RunInterruptedError(DlxError):
    """A signal ended the run after its state was saved.

    Args:
        message: What was saved and how to go on.
        signum: The signal, SIGINT or SIGTERM.
    """

    def __init__(self, message: str, signum: signal.Signals) -> None:
        super().__init__(message)
        self.signum = signum
        self.exit_code = 128 + int(signum)
