"""Exit codes, as the README documents them."""

import signal

import pytest

from dlx.core import errors

EXIT_CODES = {
    "DlxError": 1,
    "UsageError": 2,
    "ConfigError": 2,
    "DataError": 3,
    "RunError": 3,
    "CheckpointError": 3,
    "DivergedError": 4,
    "PartlyDivergedError": 5,
}


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_exit_code(name: str, code: int) -> None:
    error = getattr(errors, name)("what and how to mend it")
    assert isinstance(error, errors.DlxError)
    assert (error.exit_code, str(error)) == (code, "what and how to mend it")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interruption(signum: signal.Signals, code: int) -> None:
    assert errors.RunInterruptedError("saved", signum).exit_code == code
