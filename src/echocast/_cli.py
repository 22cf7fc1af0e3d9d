"""The command ``echocast``: arguments, errors and exit codes; the work is done elsewhere."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn, TextIO

__all__ = ["UsageError", "main"]

_EXAMPLES = """\
examples:
  echocast forecast                              forecast a bundled series and score the method
  echocast forecast sales.csv --horizon 12       forecast a series of your own
  echocast backtest sales.csv --model seasonal   score a method over past origins only
  echocast COMMAND --help                        options and examples of one command

exit codes: 0 done, 1 the work failed, 2 the file or the arguments are at fault, 130 interrupted
"""
_FORECAST_EXAMPLES = """\
FILE needs a header line. Time and target are found where only one column can be meant; without a
time column the rows are numbered. Without FILE, a series that ships with the package is forecast.

The forecast goes to NAME-forecast.csv and, if matplotlib is installed, NAME-forecast.png in the
current folder, where NAME is that of the file or bundled series. Files of these names are replaced.

examples:
  echocast forecast
  echocast forecast --example el_nino --horizon 24
  echocast forecast sales.csv --horizon 12
  echocast forecast shops.csv --id shop --time date --target sales --horizon 28 --level 80 95
  echocast forecast load.csv --season 24 --model seasonal --output next.csv --plot next.png
  echocast forecast export.csv --sep ';' --decimal , --date-format %d.%m.%Y --missing ffill
"""
_BACKTEST_EXAMPLES = """\
Forecasts from past origins are compared with what came after each, and with the seasonal naive
forecast. With --output, every single forecast goes to a CSV file.

examples:
  echocast backtest
  echocast backtest sales.csv --horizon 12 --origins 20
  echocast backtest sales.csv --model drift --output origins.csv
"""
_WARMUP_EXAMPLES = """\
Compiles the kernels and stores them in a cache, so that the first fit need not wait for it.
ECHOCAST_CACHE=0 switches the cache off, NUMBA_CACHE_DIR moves it.

examples:
  echocast warmup
  NUMBA_CACHE_DIR=/srv/cache echocast warmup
"""
_INSPECT_EXAMPLES = """\
Prints class, parameters, arrays and versions of a model that echocast.save has written, and
compares all digests. Nothing in the file is executed. The last line is the digest of the whole
file, for echocast.load(FILE, sha256=...).

examples:
  echocast inspect model.echocast
"""
_VERSIONS_EXAMPLES = """\
examples:
  echocast show-versions
"""
_VERIFY_EXAMPLES = """\
Measures what the package promises on this machine, one line for each promise: how much was tried,
what came out, and whether it keeps its limit. Rows that cannot run here are shown as skipped.
Without --full it takes about a minute, with --full about half an hour. The exit code is 1 if a row
misses its limit.

examples:
  echocast verify
  echocast verify --full --json figures.json
  echocast verify --only numerics time --seed 7
"""
_GROUPS = ("inputs", "time", "numerics", "files", "faults", "threads", "cache", "memory", "workers")
_MODELS = {
    "esn": "echo state network",
    "naive": "the last value",
    "seasonal": "the value one season back",
    "drift": "the line through the first and last value",
    "mean": "the mean of all values",
}


class UsageError(ValueError):
    """The arguments ask for what cannot be done; the message is one line."""


class Missed(Exception):
    """A row of `verify` missed its limit; the report says which."""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors take one line and point to the help, instead of repeating it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"echocast: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, default None
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    code : int
        0 done, 1 the work failed, 2 the file or the arguments are at fault, 130 interrupted.

    Examples
    --------
    >>> from echocast._cli import main
    >>> main(["forecast", "--horizon", "0"])
    2
    """
    try:
        code = _run(argv)
    except BrokenPipeError:  # the reader of our output has left
        code = 1
    streams = (sys.stdout, sys.stderr)
    return max([code, *(_finish(stream) for stream in streams if stream is not None)])


def _finish(stream: TextIO) -> int:
    """Flush a stream before Python does so at exit, where it complains if nobody reads it."""
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):  # ValueError: no file is below the stream
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
            _say(f"error: the output cannot be written ({error.strerror})")
        return 1
    return 0


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parse(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if arguments.traceback:
            traceback.print_exc()
        return _report(error)
    return 0


def _report(error: Exception) -> int:
    """Print one line about an error and return the exit code that belongs to it."""
    from echocast._csv import CsvError

    at_fault = isinstance(error, (UsageError, CsvError))
    kind = "" if at_fault or isinstance(error, Missed) else f"{type(error).__name__}: "
    _say(f"error: {kind}{' '.join(str(error).split())}")
    return 2 if at_fault else 1


def _say(text: str) -> None:
    print(f"echocast: {text}", file=sys.stderr, flush=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse arguments; those that nobody knows are refused by the command they were given to."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        _refuse_unknown(arguments.parser, unknown)
    return arguments


def _refuse_unknown(command: argparse.ArgumentParser, unknown: list[str]) -> None:
    message = f"unrecognized arguments: {' '.join(unknown)}"
    options = re.findall(r"--[a-z-]+", command.format_usage())
    for word in unknown:
        near = difflib.get_close_matches(word.split("=")[0], options, n=1)
        if word.startswith("--") and near:
            message += f"; did you mean {near[0]}?"
            break
    command.error(message)


def _parser() -> argparse.ArgumentParser:
    from echocast import __version__

    parser = _Parser(
        prog="echocast",
        description="Forecast time series with echo state networks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"echocast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add_command(name, run, text, epilog):
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_argument(
            "--traceback", action="store_true", help="show where in the code an error arose"
        )
        command.set_defaults(run=run, parser=command)
        return command

    command = add_command(
        "forecast", _forecast, "forecast a series and score the method", _FORECAST_EXAMPLES
    )
    _add_series_arguments(command)
    _add_model_arguments(command)
    _add_output_arguments(command)
    command = add_command(
        "backtest", _backtest, "score a method over past origins", _BACKTEST_EXAMPLES
    )
    _add_series_arguments(command)
    _add_model_arguments(command)
    command.add_argument("--output", metavar="OUT.csv", help="write every forecast to this file")
    command.add_argument(
        "--plot", metavar="OUT.png", help="draw the forecasts and their errors by step"
    )
    command = add_command("inspect", _inspect, "show what is in a model file", _INSPECT_EXAMPLES)
    command.add_argument("file", metavar="FILE", help="a file that echocast.save has written")
    _add_verify_arguments(
        add_command("verify", _verify, "measure what the package promises", _VERIFY_EXAMPLES)
    )
    add_command("warmup", _warmup, "compile and cache the kernels", _WARMUP_EXAMPLES)
    add_command("show-versions", _versions, "print what a bug report needs", _VERSIONS_EXAMPLES)
    return parser


def _add_series_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the series")
    group.add_argument("file", nargs="?", metavar="FILE.csv", help="your series, with a header")
    group.add_argument(
        "--example",
        choices=("sunspots", "el_nino", "co2"),
        help="a bundled series in place of FILE (default: sunspots)",
    )
    group.add_argument("--time", metavar="COL", help="column of time stamps")
    group.add_argument("--target", metavar="COL", help="column to forecast")
    group.add_argument("--id", metavar="COL", help="column that tells several series apart")
    group.add_argument(
        "--freq", metavar="FREQ", help="pandas frequency, such as h, D, W or MS (default: inferred)"
    )
    group.add_argument("--date-format", metavar="FORMAT", help="such as %%d.%%m.%%Y")
    group.add_argument(
        "--sep", metavar="CHAR", help=r"separator, \t for a tab (default: found out)"
    )
    group.add_argument(
        "--decimal",
        choices=(".", ","),
        metavar="MARK",
        help="decimal mark, point or comma (default: found out)",
    )
    group.add_argument("--encoding", metavar="NAME", help="such as cp1252 (default: UTF-8)")
    group.add_argument(
        "--missing",
        choices=("raise", "ffill"),
        default="raise",
        help="missing values and rows: refuse them, or repeat the value before (default: raise)",
    )


def _add_model_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the forecast")
    group.add_argument(
        "--horizon",
        type=_count(1, 1_000_000),
        metavar="H",
        help="number of steps (default: one season, or 10 without a season)",
    )
    group.add_argument(
        "--model",
        choices=tuple(_MODELS),
        default="esn",
        help="; ".join(f"{name}: {text}" for name, text in _MODELS.items()) + " (default: esn)",
    )
    group.add_argument(
        "--season",
        type=_count(1),
        metavar="N",
        help="steps in a season, 1 for none (default: from the frequency, 11 for sunspots)",
    )
    group.add_argument(
        "--level",
        type=_level,
        nargs="+",
        action="extend",  # of a default list it would take the levels for further ones
        metavar="L",
        help="levels of the prediction intervals in percent (default: 80 95)",
    )
    group.add_argument(
        "--origins",
        type=_count(0),
        default=10,
        metavar="N",
        help="past origins to score the method from, 0 for no backtest (default: 10)",
    )
    group.add_argument(
        "--seed",
        type=_count(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="of all random draws (default: 0)",
    )
    group.add_argument(
        "--progress",
        action="store_true",
        help="show progress even if standard error is no terminal",
    )


def _add_output_arguments(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("the output")
    group.add_argument(
        "--output", metavar="OUT.csv", help="forecast file (default: NAME-forecast.csv)"
    )
    group.add_argument("--plot", metavar="OUT.png", help="picture (default: NAME-forecast.png)")
    group.add_argument(
        "--print-only", action="store_true", help="write neither of the two default files"
    )


def _add_verify_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--full", action="store_true", help="more trials, and the long rows")
    command.add_argument(
        "--only", nargs="+", action="extend", metavar="GROUP", help=f"of {', '.join(_GROUPS)}"
    )
    command.add_argument("--seed", type=_count(0, 2**32 - 1), default=0, metavar="N")
    command.add_argument("--json", metavar="OUT.json", help="write the figures to this file")


def _count(low: int, high: int | None = None):
    def parse(text: str) -> int:
        rule = f"an integer of at least {low}" + (f", at most {high}" if high else "")
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {rule}, got {text!r}") from None
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must be {rule}, got {value}")
        return value

    return parse


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be percentages, got {text!r} (FILE goes before --level)"
        ) from None
    if not 1 <= value < 100:
        raise argparse.ArgumentTypeError(
            f"must be at least 1 and below 100 (80 means 80 %), got {text}"
        )
    return int(value) if value == int(value) else value


def _forecast(arguments: argparse.Namespace) -> None:
    from echocast._cli_forecast import run_forecast

    run_forecast(arguments)


def _backtest(arguments: argparse.Namespace) -> None:
    from echocast._cli_forecast import run_backtest

    run_backtest(arguments)


def _inspect(arguments: argparse.Namespace) -> None:
    from echocast._cli_model import run_inspect

    run_inspect(arguments)


def _verify(arguments: argparse.Namespace) -> None:
    unknown = sorted(set(arguments.only or ()) - set(_GROUPS))
    if unknown:
        raise UsageError(f"--only: no group {unknown[0]!r}; there are {', '.join(_GROUPS)}")
    from echocast._verify import run_verify

    passed = run_verify(
        full=arguments.full, only=arguments.only, seed=arguments.seed, json_path=arguments.json
    )
    if not passed:
        raise Missed("a row missed its limit")


def _warmup(arguments: argparse.Namespace) -> None:
    from echocast._versions import run_warmup

    run_warmup()


def _versions(arguments: argparse.Namespace) -> None:
    from echocast._versions import show_versions

    show_versions()
