"""Writes report.md of a comparison of optimizers: the verdict first, its grounds, how to read and repeat them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dlx.reporting.comparison_problems import problem_sentences, problem_tables, problems_headline
from dlx.reporting.comparison_sentences import (
    FAILURE,
    comparison_headline,
    failure_sentences,
    fairness_sentences,
    gradient_sentences,
    inclusion_sentences,
    passed_inclusion_sentences,
    power_sentences,
    seconds_sentences,
    split_sentences,
    target_sentences,
    untuned_sentences,
    verdict_sentences,
)
from dlx.reporting.comparison_tables import (
    Timing,
    against_table,
    course_table,
    ranking_table,
    tuning_table,
    untuned_table,
)
from dlx.reporting.comparison_texts import Result, judged_arms, loss_name, part_name, plural, shown_metric
from dlx.reporting.gallery import Picture
from dlx.reporting.report import plugin_flags, replace_file, shown_pictures
from dlx.reporting.tables import Table, escape, markdown

MORE_SEEDS = 2
"""So many times the seeds are what the line that resumes a comparison asks for."""


def write_comparison_report(
    run_dir: Path,
    result: Result,
    facts: Mapping[str, str],
    pictures: Sequence[Picture],
    timing: Timing,
    repeat_lines: Mapping[str, str],
) -> None:
    """Write report.md of a comparison on one problem.

    Args:
        run_dir: Where: the run directory, or the folder of the problem in it.
        result: Content of result.json, of this problem.
        facts: What was run, by name: problem, optimizers, budget ...
        pictures: Figures that were drawn, their files relative to ``run_dir``.
        timing: Content of timing.json, of this problem.
        repeat_lines: Command lines of ``dlx train`` that repeat runs, by what they are.

    Raises:
        RunError: If the file cannot be written.
    """
    text = comparison_report(result, facts, pictures, timing, repeat_lines)
    replace_file(run_dir / "report.md", text.encode())


def comparison_report(
    result: Result,
    facts: Mapping[str, str],
    pictures: Sequence[Picture],
    timing: Timing,
    repeat_lines: Mapping[str, str],
) -> str:
    """Compose the report; a repeated run gives the same text but for the seconds that were measured."""
    verdict = [*power_sentences(result), *verdict_sentences(result), *inclusion_sentences(result)]
    verdict += [*passed_inclusion_sentences(result), *fairness_sentences(result), *split_sentences(result)]
    speed = [*target_sentences(result), *gradient_sentences(result), *seconds_sentences(timing)]
    against = [against_table(result)] if judged_arms(result) else []
    sections = {
        "Verdict": [*_items(verdict), *_tables(against)],
        "Ranking": [*_tables([ranking_table(result, timing)]), *_items([*speed, *failure_sentences(result)])],
        "Tuned and untuned": [*_tables([untuned_table(result)]), *_items(untuned_sentences(result))],
        "Course and tuning": _tables([course_table(result), tuning_table(result)]),
        "What was run": _facts(facts),
        "Figures": list(shown_pictures(pictures)),
        "How to read it": _items([*protocol_sentences(result), *statistics_sentences(result)]),
        "Repeat it": _repetition(result, repeat_lines, plugin_flags(facts)),
    }
    return _composed(str(result["name"]), comparison_headline(result), sections)


def write_problems_report(
    run_dir: Path,
    result: Result,
    facts: Mapping[str, str],
    pictures: Sequence[Picture],
    folders: Mapping[str, str],
) -> None:
    """Write report.md of a comparison on several problems.

    Args:
        run_dir: The run directory.
        result: Content of its result.json.
        facts: What was run, by name.
        pictures: Figures over all problems.
        folders: Folder of each problem relative to ``run_dir``, by its name; each has a report of its own.

    Raises:
        RunError: If the file cannot be written.
    """
    replace_file(run_dir / "report.md", problems_report(result, facts, pictures, folders).encode())


def problems_report(
    result: Result, facts: Mapping[str, str], pictures: Sequence[Picture], folders: Mapping[str, str]
) -> str:
    """Compose the report on several problems. It holds no clock values: a repeated run gives the same text."""
    each = [
        f"- [{escape(str(problem['name']))}](<{folders[str(problem['name'])]}/report.md>): "
        f"{escape(comparison_headline(problem))}\n"
        for problem in result["problems"]
    ]
    sections = {
        "Over all problems": [*_items(problem_sentences(result)), *_tables(problem_tables(result))],
        "Each problem": each,
        "What was run": _facts(facts),
        "Figures": list(shown_pictures(pictures)),
        "How to read it": _items(over_problems_sentences(result)),
        "Repeat it": _resumption(result["problems"][0], plugin_flags(facts)),
    }
    return _composed(str(result["name"]), problems_headline(result), sections)


def _composed(name: str, headline: str, sections: Mapping[str, Sequence[str]]) -> str:
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    first = escape(headline[:1].upper() + headline[1:])
    return "\n".join([f"# {escape(name)}: compare-optimizers\n\n**{first}.**\n", *kept])


def _facts(facts: Mapping[str, str]) -> list[str]:
    return [f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items()]


def _items(sentences: Iterable[str]) -> list[str]:
    items = [f"- {escape(sentence)}\n" for sentence in sentences]
    return [*items, "\n"] if items else []


def _tables(tables: Iterable[Table]) -> list[str]:
    return [f"{markdown(table)}\n" for table in tables]


def protocol_sentences(result: Result) -> Iterator[str]:
    """Say how the comparison was made, and why so, with the sources."""
    protocol = result["protocol"]
    tuning, fresh = protocol["tuning_seeds"], protocol["seeds"]
    which = "points of a grid" if protocol["name"] == "quick" else "scrambled Sobol points"
    more = max(0, protocol["num_trials"] - protocol["trials"])
    yield (
        f"Every optimizer is tuned by the same number of settings, {which} of its own search space, each trained with "
        f"{plural(len(tuning), 'seed')}; the lowest mean {loss_name(result)} wins. The search space may decide a "
        "ranking (Choi et al. 2019): where the best setting of any lies at an edge of its ranges, these are extended "
        f"and every optimizer is given as many more settings, here {more}."
    )
    if protocol["studies"] > 1:
        yield (
            f"There are {protocol['studies']} independent searches; a seed counts with the median over the best "
            "settings of all, so the luck of one search does not decide (Dahl et al. 2023)."
        )
    else:
        yield (
            "Each optimizer was tuned by one search. What is said holds for the settings it found, and its luck is "
            "in no p value; compare.studies=3 takes the median over several (Dahl et al. 2023)."
        )
    yield (
        f"The best setting and the untuned one are then trained with {plural(len(fresh), 'fresh seed')}, {fresh[0]} to "
        f"{fresh[-1]}, of which nothing was tuned. A seed gives every optimizer the same split, initial weights and "
        "batches, so the differences are taken pair by pair."
    )
    if shown_metric(result):
        yield (
            "The test part chose nothing: it scores the weights of the epoch with the lowest validation loss. A run "
            "that diverged has no such score, and so its optimizer no median of them."
        )
    yield (
        "A result depends on the budget (Sivaprasad et al. 2020): the expected best is the mean loss that the best of "
        "so many of these trials would have had, one that is worse than no training counting as that. Untuned runs "
        "stand beside the tuned ones because trying several optimizers as they are can do as well as tuning one "
        "(Schmidt et al. 2021)."
    )
    yield (
        "The target is set by the reference, and a run that never reaches it counts as infinite (Dahl et al. 2023). "
        f"A run fails if it diverges or ends with more than {FAILURE} times the {part_name(result)} of its initial "
        "weights."
    )


def statistics_sentences(result: Result) -> Iterator[str]:
    """Say how the numbers are to be read, and what a verdict means."""
    yield "Intervals of medians are percentile bootstrap intervals over seeds; those of shares are Clopper-Pearson's."
    if not judged_arms(result):
        return
    yield (
        "p is that of the sign-flip test of the mean of the paired differences, so that one seed may weigh more than "
        "several with small differences; it is exact up to 20 seeds (of their signed ranks where "
        f"a run failed), by Holm adjusted for {plural(len(judged_arms(result)), 'comparison')} with the reference. "
        "Better means that the adjusted p is below 0.05 and the interval of the share of seeds with the lower loss, "
        "ties half, lies above a half; practically better, that this share is moreover at least 0.75 (Bouthillier et "
        "al. 2021). Worse is the same from the other side."
    )
    yield (
        "No difference shown means that so many seeds do not tell: not that there is none. Other problems, models and "
        "budgets may give another order."
    )


def over_problems_sentences(result: Result) -> Iterator[str]:
    """Say how the numbers over several problems are to be read."""
    yield "Each problem counts once, with the median over its seeds; how it was compared its own report says."
    if "tests" in result["across"]:
        yield (
            "Friedman's test asks whether the mean ranks differ at all; Wilcoxon's signed-rank test, with Holm's "
            "correction, whether an optimizer differs from the reference (Demsar 2006)."
        )
    if "profile" in result["across"]:
        yield "Profiles are those of Dolan and More (2002), their score that of Dahl et al. (2023)."


def _repetition(result: Result, lines: Mapping[str, str], flags: str) -> list[str]:
    """Show how runs are repeated alone, and how the comparison gets more seeds."""
    files = "`runs.csv` has every run with fresh seeds, `cells.jsonl` every run, `table.tex` the ranking for LaTeX.\n\n"
    code = "".join(f"# {what}\n{line}\n" for what, line in lines.items())
    repeated = f"A run is repeated alone, to the same bits, the run directory for RUN:\n\n```sh\n{code}```\n\n"
    return [files, *([repeated] if code else []), *_resumption(result, flags)]


def _resumption(result: Result, flags: str) -> list[str]:
    more = MORE_SEEDS * len(result["protocol"]["seeds"])
    line = f"dlx resume RUN compare.seeds={more}{flags}"
    warning = "To add seeds because the verdict was not the hoped-for one makes a false claim likelier than p says."
    return [f"With more seeds, keeping what was found, the run directory for RUN:\n\n```sh\n{line}\n```\n\n{warning}\n"]
