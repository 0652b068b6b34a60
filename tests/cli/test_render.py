"""What a person sees of a run: on a terminal, in a log, quietly, and as JSON."""

import io
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reporting.comparisons import leavings, problems
from reporting.results import DIVERGED, finished, member, several_seeds
from reporting.searches import grid, searched

from dlx.cli.render import Terminal, comparison_lines, render_error, show
from dlx.core.errors import ConfigError, PartlyDivergedError, RunInterruptedError
from dlx.core.records import (
    AnalysisProgress,
    AnalysisStarted,
    Cell,
    Divergence,
    EpochDone,
    Finished,
    MemberEpoch,
    Progress,
    Record,
    SearchProgress,
    SearchStarted,
    Started,
)  # fmt: skip

RUN_DIR = Path("runs/20261123-train-digits-7f3a")
FACTS = {"data": "digits: 1797 examples [64]", "model": "mlp"}


def at(seed: int, loss: float, **changed: Any) -> MemberEpoch:
    scores = {"train": {"loss": loss, "accuracy": 0.9}, "valid": {"loss": 2 * loss, "accuracy": 0.8}}
    return MemberEpoch(**{  # type: ignore[arg-type]
        "cell": Cell(seed), "step": 17, "lr": 0.1, "scores": scores, "is_best": True, "stop_reason": None,
        "divergence": None, **changed,
    })  # fmt: skip


def lost(seed: int, last: float | None = 1e30) -> MemberEpoch:
    return at(seed, 0, scores={}, stop_reason="diverged", divergence=Divergence(52, last))


def test_what_the_rule_says_is_shown_for_few_seeds_and_counted_for_many() -> None:
    out = io.StringIO()
    members = [{**member(seed), "remark": f"newton: seen {seed % 13}"} for seed in range(13)]
    Terminal(out, io.StringIO()).show([Finished(RUN_DIR, finished(members))], quiet=False, json_output=False)
    assert "seed 9: newton: seen 9\nand 3 more seeds: see report.md\n" in out.getvalue()
    same = [{**each, "remark": "newton: seen"} for each in members]
    out = io.StringIO()
    Terminal(out, io.StringIO()).show([Finished(RUN_DIR, finished(same))], quiet=False, json_output=False)
    assert out.getvalue().count("newton: seen") == 1


def started(**changed: Any) -> Started:
    settings = {"num_members": 4, "epochs": 30, "epochs_done": None, "metric": "accuracy", **changed}
    return Started(run_dir=RUN_DIR, command="train", facts=FACTS, **settings)


def training() -> list[Record]:
    return [
        started(),
        Progress(1, 5, 10),
        EpochDone(1, (at(0, 0.4), at(1, 0.2), at(2, 0.6), lost(9))),
        EpochDone(2, (at(0, 0.31), at(1, 12.5, stop_reason="patience"), at(2, 0.2))),
        Finished(RUN_DIR, several_seeds(DIVERGED)),
    ]


def shown(
    records: list[Record], *, live: bool = False, quiet: bool = False, json_output: bool = False
) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    seconds = [0.0]

    def arriving() -> Iterator[Record]:
        for seconds[0], record in enumerate(records):  # one record in a second
            yield record

    terminal = Terminal(out, err, live, clock=lambda: seconds[0])
    assert terminal.show(arriving(), quiet=quiet, json_output=json_output) == (
        records[-1].result if isinstance(records[-1], Finished) else None
    )
    return out.getvalue(), err.getvalue()


def test_plain_lines() -> None:
    _, err = shown(training())
    assert err.splitlines() == [
        "data           digits: 1797 examples [64]",
        "model          mlp",
        f"run directory  {RUN_DIR}",
        "warning: seed 9 diverged: first non-finite loss at step 52, last finite loss 1.000e+30",
        "epoch  1/30  train loss 0.400    valid loss 0.800    valid accuracy 0.800    3 training  2.0 s",
        "epoch  2/30  train loss 4.34     valid loss 8.67     valid accuracy 0.800    2 training  3.0 s",
    ]


def test_result_on_stdout() -> None:
    out, _ = shown(training())
    assert out.splitlines()[1].startswith("best weights (lowest validation loss), mean ± standard deviation over 3 se")
    assert "\n  gap (test - train)   0.1523 ± 0.0025" in out
    assert out.endswith(f"\ntest accuracy 0.917 ± 0.025  test loss 0.276 ± 0.028\nrun directory  {RUN_DIR}\n")


def test_lines_are_never_wrapped_or_read_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out, err = shown(training())
    assert "[64]" in err
    assert max(map(len, out.splitlines())) > 70


def test_quiet_shows_only_warnings_and_the_run_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "5")
    path = f"{RUN_DIR}\n"
    warning = "warning: seed 9 diverged: first non-finite loss at step 52, last finite loss 1.000e+30\n"
    assert shown(training(), quiet=True) == (path, warning)
    assert shown(training(), quiet=True, live=True)[0] == path
    assert shown([record for record in training() if not isinstance(record, EpochDone)], quiet=True) == (path, "")
    assert shown([started()], quiet=True) == (path, ""), "an interrupted run has one, too"


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("quiet", [False, True])
def test_json_alone_on_stdout(live: bool, quiet: bool) -> None:
    out, err = shown(training(), json_output=True, live=live, quiet=quiet)
    assert json.loads(out) == several_seeds(DIVERGED)
    assert ("epoch" in err) == (live and not quiet)
    assert (f"run directory  {RUN_DIR}\n" in err) == (not quiet)


def test_json_has_no_nan() -> None:
    result = several_seeds()
    result["members"][0]["test"]["accuracy"] = math.nan
    out, _ = shown([started(), Finished(RUN_DIR, result)], json_output=True)
    assert json.loads(out)["members"][0]["test"]["accuracy"] is None
    assert "NaN" not in out


def test_live_lines() -> None:
    out, err = shown(training(), live=True)
    assert "\x1b[" in err
    assert "epoch  2/30" in err
    assert "train loss 4.34  valid loss 8.67  valid accuracy 0.800  2 training" in err
    assert "steps/s  at most " in err
    assert "\x1b[?25h" in err, "the cursor must come back"
    assert "test accuracy" in out


def test_live_shows_the_rate() -> None:
    _, err = shown([started(), Progress(1, 5, 10), Progress(1, 10, 10)], live=True)
    # 5 steps in the first second are half an epoch; the other 29.5 epochs take 59 s at that rate.
    assert "5 steps/s  at most 0:59 left" in err
    assert err.rstrip().endswith("5 steps/s  2.0 s\n\n\x1b[?25h"), "the time left means nothing once it is over"


def test_rate_of_a_resumed_run_counts_only_its_own_epochs() -> None:
    _, err = shown([started(epochs_done=20), EpochDone(21, (at(0, 0.1),))], live=True)
    assert "resumed        after 20 epochs" in err
    assert "1.0 epochs/s  at most 0:09 left" in err


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    Terminal(stream, stream, True).show(training(), quiet=False, json_output=False)
    assert "\x1b[3" not in stream.getvalue()
    assert "\x1b[1;3" not in stream.getvalue()


def test_what_the_command_raises_passes_after_the_result() -> None:
    def records() -> Iterator[Record]:
        yield from training()
        raise PartlyDivergedError("1 of 4 seeds diverged")

    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(PartlyDivergedError):
        Terminal(out, err, True).show(records(), quiet=False, json_output=False)
    assert "test accuracy" in out.getvalue()
    assert err.getvalue().endswith("\x1b[?25h")


# A search


def searching(num_found: int | None = None) -> list[Record]:
    points = grid({"optimizer.lr": [0.1, 0.2]})
    result, _ = searched({"optimizer.lr": [0.1, 0.2]}, points)
    return [
        SearchStarted(RUN_DIR, FACTS, 10, num_found, "accuracy"),
        SearchProgress(0, 0.0, None),
        SearchProgress(2, 0.25, None),
        SearchProgress(5, 0.5, (0, 0.91, 0.02)),
        SearchProgress(10, 1.0, (1, 0.93, None)),
        Finished(RUN_DIR, result),
    ]


def test_plain_lines_of_a_search() -> None:
    """Two seconds apart; the time left is that of the rest at the speed so far."""
    out, err = shown(searching())
    assert err.splitlines() == [
        "data           digits: 1797 examples [64]",
        "model          mlp",
        f"run directory  {RUN_DIR}",
        "0/10 cells  1 s",
        "5/10 cells  best so far: trial 0, accuracy 0.910 ± 0.020  about 0:03 left  3 s",
    ]
    assert "trials by held-out accuracy" in out
    assert out.endswith(f"\nrun directory  {RUN_DIR}\n")


def test_plain_lines_of_an_analysis_end_at_all_of_it() -> None:
    """Two seconds apart; what was begun in print is ended in print, and what was not is not."""
    shares = {"differences": (0.2, 0.6, 0.8, 1.0), "curve": (1.0,), "planting": (0.5, 1.0)}
    records = [AnalysisProgress(what, share) for what, each in shares.items() for share in each]
    _, err = shown([AnalysisStarted(RUN_DIR, {}), *records])
    assert err.splitlines()[1:] == [
        "differences  20%  1 s", "differences  80%  3 s", "differences  100%  4 s", "planting  50%  6 s",
        "planting  100%  7 s",
    ]  # fmt: skip


def test_a_resumed_search_says_where_it_goes_on() -> None:
    assert "resumed" not in shown(searching())[1]
    err = shown(searching(4))[1]
    assert "resumed        after 4 cells; those in training go on where they were\n" in err
    # 4 of 10 cells were there: in 3 s a tenth of all, and five tenths are left.
    assert "about 0:15 left  3 s" in err


def test_live_lines_of_a_search() -> None:
    out, err = shown(searching(), live=True)
    assert "\x1b[" in err
    assert "5/10 cells  best so far: trial 0, accuracy 0.910 ± 0.020  about 0:03 left" in err
    assert "10/10 cells  best so far: trial 1, accuracy 0.93" in err
    assert "\x1b[?25h" in err, "the cursor must come back"
    assert "\nChosen: " in out


@pytest.mark.parametrize("live", [False, True])
def test_a_search_quietly_and_as_json(live: bool) -> None:
    assert shown(searching(), quiet=True, live=live) == (f"{RUN_DIR}\n", "")
    out, err = shown(searching(), quiet=True, json_output=True, live=live)
    assert (json.loads(out)["command"], err) == ("cv", "")
    assert f"run directory  {RUN_DIR}\n" in shown(searching(), json_output=True, live=live)[1]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (EpochDone(1, (lost(0, None),)), "no finite loss before"),
        (EpochDone(1, (at(0, math.nan),)), "train loss undefined"),
        (EpochDone(1, (at(0, 1e30),)), "train loss 1.00e+30"),
        (EpochDone(1, (at(0, 0, scores={"train": {"loss": 0.5}}),)), "train loss 0.500"),
        (EpochDone(1, (at(0, 0, scores={"train": {"loss": 0.5, "accuracy": 0.25}}),)), "train accuracy 0.250"),
        (EpochDone(1, (at(0, 0, scores={"train": {"loss": 0.5}, "valid": {"loss": 0.7}}),)), "valid accuracy undef"),
    ],
)
def test_odd_epochs(epoch: EpochDone, expected: str, live: bool) -> None:
    assert expected in shown([started(), epoch], live=live)[1]


def test_an_epoch_that_left_nobody() -> None:
    assert shown([started(), EpochDone(1, (lost(0),))])[1].splitlines()[-1].startswith("epoch  1/30  no finite score")


def test_without_metric_and_with_one_member() -> None:
    _, err = shown([started(metric=None, num_members=1), EpochDone(1, (at(0, 0.5),))])
    assert err.splitlines()[-1] == "epoch  1/30  train loss 0.500    valid loss 1.00     1.0 s"


def test_all_diverged() -> None:
    out, _ = shown([started(), EpochDone(1, (lost(9),)), Finished(RUN_DIR, finished([DIVERGED]))])
    assert out.splitlines()[-2:] == ["", f"run directory  {RUN_DIR}"]


MESSAGE = """configs/a.yaml:3:8: expected a number above 0, found the text `[red]x`
    3 |   lr: [red]x   # a long line of a config, of more than eighty characters, that a terminal would wrap
      |       ^^^^^^
      = as in lr: 1e-3"""


def test_error_is_printed_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = io.StringIO()
    render_error(ConfigError(MESSAGE), stream)
    assert stream.getvalue() == f"error: {MESSAGE}\n"


@pytest.mark.parametrize("no_color", [False, True])
def test_error_is_red_on_a_terminal(monkeypatch: pytest.MonkeyPatch, no_color: bool) -> None:
    class Tty(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = Tty()
    render_error(ConfigError(MESSAGE), stream)
    assert ("\x1b[1;31merror:\x1b[0m" in stream.getvalue()) != no_color
    assert MESSAGE.partition("\n")[2] in stream.getvalue()


def test_an_interruption_is_no_error() -> None:
    stream = io.StringIO()
    render_error(RunInterruptedError("all saved", signal.SIGINT), stream)
    assert stream.getvalue() == "interrupted: all saved\n"


def test_a_resumed_run_says_where_it_goes_on() -> None:
    assert "resumed" not in shown([started()])[1]
    assert "resumed        from the beginning: no state was saved\n" in shown([started(epochs_done=0)])[1]
    assert "resumed        after 3 epochs\n" in shown([started(epochs_done=3)])[1]


def shown_comparison(result: dict[str, Any], timing: dict[str, Any], folder: Path) -> list[str]:
    (folder / "timing.json").write_text(json.dumps(timing))
    out = io.StringIO()
    Terminal(out, io.StringIO()).show([Finished(folder, result)], quiet=False, json_output=False)
    return out.getvalue().splitlines()


def test_a_comparison_ends_with_its_verdict(tmp_path: Path) -> None:
    result, _, timing = leavings("six")
    lines = shown_comparison(result, timing, tmp_path)
    assert lines[1].startswith("ranking by validation loss after the last epoch; 16 settings x 2 seeds, 10 fresh seeds")
    assert [line.split()[0] for line in lines[3:9]] == ["adam", "rmsprop", "momentum", "nesterov", "sgd", "adagrad"]
    assert [line for line in lines if line.startswith(("tuned and untuned:", "against momentum:"))]
    assert [line for line in lines if line.startswith("* adagrad is treated unfairly")]
    assert sum(line.startswith("Seconds to the target are") for line in lines) == 1
    assert lines[-2].startswith("practically better than momentum: adam and rmsprop;")
    assert lines[-1] == f"run directory  {tmp_path}"


def test_a_comparison_without_any_result_does_not_end_in_green(tmp_path: Path) -> None:
    for case, style in (("all failed", "bold red"), ("failing", "bold green")):
        result, _, timing = leavings(case)
        (tmp_path / "timing.json").write_text(json.dumps(timing))
        assert comparison_lines(result, tmp_path)[-2][1] == style


def test_a_comparison_on_several_problems_shows_each_in_short(tmp_path: Path) -> None:
    result = problems(2)
    seconds = {arm["name"]: 1e-3 for arm in result["problems"][0]["arms"]}
    lines = shown_comparison(result, {"problems": [{"seconds_per_step": seconds}] * 2}, tmp_path)
    assert lines.count("digits") == lines.count("wine") == 1
    assert sum(line.startswith("ranking by") for line in lines) == 2
    assert not any(line.startswith("tuned and untuned") for line in lines)
    assert lines.index("wine") < lines.index("verdicts against momentum, counted over 2 problems")
    assert lines[-2] == "2 problems: no verdict against momentum on any alone"


def test_streams_of_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    show([started(), Finished(RUN_DIR, finished([member(0)]))], quiet=False, json_output=False)
    render_error(ConfigError("no"))
    out, err = capsys.readouterr()
    assert "test accuracy 0.9400" in out
    assert err.endswith("error: no\n")


def test_ascii_stream_ends_well() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Terminal(stream, io.StringIO(), False).show(training(), quiet=False, json_output=False)
    stream.seek(0)
    assert "test accuracy 0.917 ? 0.025" in stream.read()


def test_import_is_light() -> None:
    heavy = ["torch", "numpy", "matplotlib", "rich"]
    code = f"import dlx.cli.render, sys; print(*sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.split() == []
