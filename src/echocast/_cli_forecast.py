"""The commands ``echocast forecast`` and ``echocast backtest``."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from echocast._cli import UsageError
from echocast._cli_output import (
    PICTURES,
    check_target,
    format_table,
    has_matplotlib,
    save_backtest_picture,
    save_picture,
    write_csv,
)
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest

__all__ = ["run_backtest", "run_forecast"]

_STRATEGIES = {"naive": "last", "seasonal": "seasonal", "drift": "drift", "mean": "mean"}
_SHOWN_NAMES = {"naive": "last value", "seasonal": "seasonal naive"}
_METRICS = {"mase": "MASE", "rmsse": "RMSSE", "smape": "sMAPE"}
_LEAST_ROWS = {"esn": 20, "naive": 3, "seasonal": 3, "drift": 4, "mean": 3}
_LEVELS = (80, 95)  # in percent, unless --level names others


@dataclass(frozen=True)
class _Task:
    """What to forecast and how, with every default filled in."""

    name: str
    source: Path | None
    series: dict[str | None, pd.Series]
    id_col: str | None
    time_name: str
    model: str
    horizon: int
    season: int
    levels: list[float]
    origins: int
    seed: int
    progress: bool
    notes: list[str]
    warned: set[str] = field(default_factory=set)


def run_forecast(arguments: argparse.Namespace) -> None:
    """Forecast, score over past origins, print tables, write the forecast and its picture."""
    start = time.perf_counter()
    task = _read_task(arguments)
    _check_names(task, [task.time_name, "forecast"])
    output, picture = _targets(arguments, task)
    _introduce(task)
    forecasts = {}
    for name, y in task.series.items():
        with _warnings_as_notes(task):
            forecasts[name] = _forecast_one(task, y)
    if task.origins:
        _print_backtest(task)
    frame = _as_one_frame(task, forecasts)
    print(f"\nforecast by {_shown(task.model)}, {task.horizon} steps")
    print(format_table(frame))
    print()
    if output is not None:
        write_csv(frame, output)
        print(f"wrote {output}")
    if picture is not None:
        save_picture(picture, task.series, forecasts)
        print(f"wrote {picture}")
    elif not (arguments.print_only or has_matplotlib()):
        print("no picture: matplotlib is not installed (python -m pip install matplotlib)")
    print(f"done in {time.perf_counter() - start:.1f} s")


def run_backtest(arguments: argparse.Namespace) -> None:
    """Score a method over past origins and, if asked to, write every forecast made."""
    task = _read_task(arguments)
    if not task.origins:
        raise UsageError("--origins 0 leaves nothing to score")
    _check_names(task, ["cutoff", "time", "step", "y", "forecast"])
    output = None
    if arguments.output is not None:
        output = check_target(Path(arguments.output), "--output", task.source)
    picture = _backtest_picture(arguments, task)
    _introduce(task)
    frames = _print_backtest(task)
    if not frames:
        raise UsageError(f"{_too_short_for_backtest(task)}; lower --horizon or --season")
    if output is not None:
        write_csv(pd.concat(frames, ignore_index=True), output)
        print(f"\nwrote {output}")
    if picture is not None:
        titles = [task.name if task.id_col is None else f[task.id_col].iloc[0] for f in frames]
        save_backtest_picture(picture, dict(zip(map(str, titles), frames, strict=True)))
        print(f"{'' if output else chr(10)}wrote {picture}")


def _read_task(arguments: argparse.Namespace) -> _Task:
    if arguments.file is not None and arguments.example is not None:
        raise UsageError("give FILE or --example, not both")
    if arguments.file is None:
        name = arguments.example or "sunspots"
        series, notes = _load_example(name, arguments.missing)
        found: dict[str | None, pd.Series] = {None: series}
        source, id_col, time_name = None, None, "time"
    else:
        from echocast._csv_series import read_series

        file = read_series(
            arguments.file,
            time=arguments.time,
            target=arguments.target,
            id_col=arguments.id,
            freq=arguments.freq,
            date_format=arguments.date_format,
            separator=arguments.sep,
            decimal=arguments.decimal,
            encoding=arguments.encoding,
            missing=arguments.missing,
        )
        source = Path(arguments.file)
        name, found, notes = source.stem, file.series, file.notes
        id_col, time_name = file.id_col, file.time or "step"
    season = arguments.season or _default_season(name, source, found)
    horizon = arguments.horizon or (season if season > 1 else 10)
    found, short = _long_enough(found, arguments.model, season, arguments.file or name)
    return _Task(
        name=name,
        source=source,
        series=found,
        id_col=id_col,
        time_name=time_name,
        model=arguments.model,
        horizon=horizon,
        season=season,
        levels=sorted(set(arguments.level or _LEVELS)),
        origins=arguments.origins,
        seed=arguments.seed,
        progress=arguments.progress or sys.stderr.isatty(),
        notes=notes + short,
    )


def _load_example(name: str, missing: str) -> tuple[pd.Series, list[str]]:
    from echocast import datasets

    y = getattr(datasets, f"load_{name}")()
    notes = ["a series that ships with echocast; give a CSV file to forecast your own"]
    if y.hasnans and missing == "raise":
        raise UsageError(f"{name} has missing values; pass --missing ffill")
    return y.ffill(), notes


def _default_season(name: str, source: Path | None, series: dict) -> int:
    if source is None and name == "sunspots":
        return 11  # the mean length of the solar cycle in years
    first = next(iter(series.values()))
    rows = pd.Series(np.arange(len(first)), index=first.index)  # the values are of no interest
    return NaiveForecaster().fit(rows).season_length_


def _long_enough(
    series: dict[str | None, pd.Series], model: str, season: int, source: str
) -> tuple[dict[str | None, pd.Series], list[str]]:
    """Return the series that the model can be fitted to, and a note on each of the others."""
    least = max(_LEAST_ROWS[model], season + 1 if model == "seasonal" else 0)
    kept = {key: y for key, y in series.items() if len(y) >= least}
    rule = f"{_shown(model)} needs at least {least}"
    longest = max(map(len, series.values()))
    if not kept:
        simple = next((name for name in ("drift", "naive") if longest >= _LEAST_ROWS[name]), None)
        remedy = f"pass --model {simple}" if simple else "add rows"
        who = "the series has" if len(series) == 1 else "the longest series has"
        raise UsageError(f"{source}: {who} {longest} rows, but {rule}; {remedy}")
    notes = [
        f"series {key!r} is left out: it has {len(y)} rows, but {rule}"
        for key, y in series.items()
        if key not in kept
    ]
    return kept, notes


def _check_names(task: _Task, columns: list[str]) -> None:
    """Refuse columns of the file whose names stand for something else in the output."""
    bands = [f"{side}-{level:g}" for level in task.levels for side in ("lo", "hi")]
    columns = columns + bands if task.id_col is None else [task.id_col, *columns, *bands]
    twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
    twice += [str(y.name) for y in task.series.values() if y.name in bands][:1]
    if twice:
        raise UsageError(f"column {twice[0]!r} has the name of a column of the output; rename it")


def _backtest_picture(arguments: argparse.Namespace, task: _Task) -> Path | None:
    """Return where the picture of a backtest goes, None for nowhere."""
    if arguments.plot is None:
        return None
    picture = _checked_picture(Path(arguments.plot))
    if arguments.output is not None and Path(arguments.output).absolute() == picture.absolute():
        raise UsageError(f"--output and --plot are the same file, {picture}")
    return check_target(picture, "--plot", task.source)


def _checked_picture(picture: Path) -> Path:
    if not has_matplotlib():
        raise UsageError("--plot needs matplotlib: python -m pip install matplotlib")
    if picture.suffix.lower() not in PICTURES:
        raise UsageError(f"--plot {picture} is no kind of picture; use {', '.join(PICTURES)}")
    return picture


def _targets(arguments: argparse.Namespace, task: _Task) -> tuple[Path | None, Path | None]:
    """Return where the forecast and the picture go, None for nowhere."""
    output = Path(arguments.output or f"{task.name}-forecast.csv")
    picture = Path(arguments.plot or f"{task.name}-forecast.png")
    if arguments.plot is not None:
        _checked_picture(picture)
    if arguments.output is not None and output.absolute() == picture.absolute():
        raise UsageError(f"--output and --plot are the same file, {output}")
    write_output = arguments.output is not None or not arguments.print_only
    draw = arguments.plot is not None or (has_matplotlib() and not arguments.print_only)
    return (
        check_target(output, "--output", task.source) if write_output else None,
        check_target(picture, "--plot", task.source) if draw else None,
    )


def _introduce(task: _Task) -> None:
    for note in task.notes:
        print(f"note: {note}", file=sys.stderr)
    first = next(iter(task.series.values()))
    span = f"{_stamp(first.index[0])} to {_stamp(first.index[-1])}"
    spacing = getattr(first.index, "freqstr", None)
    if len(task.series) == 1:
        size = f"{len(first)} values, {span}" + (f", freq {spacing}" if spacing else "")
    else:
        size = f"{len(task.series)} series, {sum(map(len, task.series.values()))} values"
    season = f"season {task.season}" if task.season > 1 else "no season"
    print(f"{task.name}: {size}, {season}", flush=True)


def _stamp(label: Any) -> str:
    return str(label).removesuffix(" 00:00:00")


def _label(task: _Task, key: str | None) -> str:
    return task.name if key is None else str(key)


def _shown(model: str) -> str:
    return _SHOWN_NAMES.get(model, model)


def _make(task: _Task, model: str) -> Any:
    if model == "esn":
        return ESNForecaster(season_length=task.season, random_state=task.seed)
    return NaiveForecaster(strategy=_STRATEGIES[model], season_length=task.season)


def _forecast_one(task: _Task, y: pd.Series) -> pd.DataFrame:
    forecaster = _make(task, task.model).fit(y)
    frame = forecaster.predict(task.horizon, level=task.levels)
    return frame.rename(columns={frame.columns[0]: "forecast"})


def _print_backtest(task: _Task) -> list[pd.DataFrame]:
    """Print the scores of the method and of what it has to beat; return all its forecasts."""
    plans = {key: _plan_origins(task, len(y)) for key, y in task.series.items()}
    origins = [plan["n_windows"] for plan in plans.values() if plan]
    if not origins:
        print(f"\nno backtest: {_too_short_for_backtest(task)}")
        return []
    rivals = ["seasonal" if task.season > 1 else "naive", "drift"]
    rows, frames = [], []
    for model in dict.fromkeys([task.model, *rivals]):
        with _warnings_as_notes(task):
            row, forecasts = _score(task, model, plans)
        rows.append(row)
        if model == task.model:
            frames = forecasts
    several = f" of each of {len(origins)} series" if len(plans) > 1 else ""
    print(f"\nbacktest over {min(origins)} origins{several}, {task.horizon} steps each")
    print(format_table(pd.DataFrame(rows)))
    return frames


def _least_training(task: _Task) -> int:
    return max(2 * task.season, _LEAST_ROWS[task.model])


def _too_short_for_backtest(task: _Task) -> str:
    longest = max(map(len, task.series.values()))
    least = max(_least_training(task) + task.horizon, 2 * task.horizon - 1)
    season = f"season {task.season} and " if task.season > 1 else ""
    return (
        f"the series is too short for a backtest ({season}horizon {task.horizon} need {least} "
        f"rows, not {longest})"
    )


def _plan_origins(task: _Task, n_rows: int) -> dict[str, int] | None:
    """Spread the origins over the second half of a series, closer together if it is short."""
    initial = max(n_rows // 2, _least_training(task))
    room = n_rows - initial - task.horizon
    if room < 0:
        return None
    n_windows = min(task.origins, room + 1)
    step = min(task.horizon, room // (n_windows - 1)) if n_windows > 1 else 1
    return {"n_windows": n_windows, "step": step}


def _score(task: _Task, model: str, plans: dict) -> tuple[dict[str, Any], list[pd.DataFrame]]:
    """Return the row of one method in the table of scores, and its forecasts."""
    summaries, frames = [], []
    for key, plan in plans.items():
        if plan is None:
            continue
        result = backtest(
            _make(task, model),
            task.series[key],
            horizon=task.horizon,
            level=task.levels,
            metrics=tuple(_METRICS),
            season_length=task.season,
            progress=_counter(task, f"backtest of {_shown(model)}, {_label(task, key)}"),
            **plan,
        )
        summaries.append(result.summary())
        frame = result.forecasts
        if key is not None:
            frame = frame.assign(**{str(task.id_col): key})
        frames.append(frame)
    scores = pd.DataFrame(summaries)
    means = scores.mean()
    row: dict[str, Any] = {"method": _shown(model)}
    for metric, shown in _METRICS.items():
        row[shown] = "-" if np.isnan(means[metric]) else f"{means[metric]:.3f}"
    row |= {f"in {level:g} %": f"{means[f'coverage-{level:g}']:.0%}" for level in task.levels}
    row["seconds"] = f"{scores[['fit_seconds', 'predict_seconds']].sum().sum():.2f}"
    return row, frames


def _as_one_frame(task: _Task, forecasts: dict[str | None, pd.DataFrame]) -> pd.DataFrame:
    frames = []
    for key, forecast in forecasts.items():
        frame = forecast.reset_index(names=task.time_name)
        if key is not None:
            frame.insert(0, str(task.id_col), key)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    frame[task.time_name] = [_stamp(label) for label in frame[task.time_name]]
    return frame


def _counter(task: _Task, text: str) -> Callable[[int, int], None] | bool:
    """Return what `backtest` calls after each origin: one line that counts, on a terminal."""
    if not task.progress:
        return False
    end = "\r" if sys.stderr.isatty() else "\n"

    def show(done: int, total: int) -> None:
        last = "\n" if done == total else end
        print(f"{text}: {done} of {total} origins", end=last, file=sys.stderr, flush=True)

    return show


@contextlib.contextmanager
def _warnings_as_notes(task: _Task) -> Iterator[None]:
    """Print each different warning once, in one line, without where in our code it arose."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if text not in task.warned:
            print(f"warning: {text}", file=sys.stderr)
        task.warned.add(text)
