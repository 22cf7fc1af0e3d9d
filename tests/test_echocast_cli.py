"""The command: exit codes, one-line errors, tables, files, pictures, interruption."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from csv_files import dated
from echocast import _cli
from echocast._cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder):
    def write(text, name="sales.csv"):
        (folder / name).write_text(text, "utf-8")
        return name

    return write


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def wave(i):
    return f"{10 + np.sin(2 * np.pi * i / 7) + 0.1 * np.cos(i):.6f}"


# ---------------------------------------------------------------- the main job


def test_bundled_series_is_forecast_scored_and_written(run, folder):
    code, out, err = run("forecast")
    assert code == 0, err
    frame = pd.read_csv(folder / "sunspots-forecast.csv")
    assert list(frame) == ["time", "forecast", "lo-80", "hi-80", "lo-95", "hi-95"]
    assert frame["time"].tolist() == [f"{year}-01-01" for year in range(2009, 2020)]
    assert (frame["lo-95"] <= frame["lo-80"]).all()
    assert (frame["hi-80"] <= frame["hi-95"]).all()
    assert (folder / "sunspots-forecast.png").read_bytes().startswith(b"\x89PNG")
    assert "backtest over 10 origins, 11 steps each" in out
    scores = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert float(scores["esn"][1]) < float(scores["seasonal naive"][2])
    assert float(scores["esn"][1]) < float(scores["drift"][1])
    assert "wrote sunspots-forecast.csv" in out
    assert sorted(path.name for path in folder.iterdir()) == [
        "sunspots-forecast.csv",
        "sunspots-forecast.png",
    ]


@pytest.mark.parametrize("model", ["esn", "naive", "seasonal", "drift", "mean"])
def test_own_file_with_every_model(run, write, folder, model):
    code, out, err = run("forecast", write(dated(80, value=wave)), "--model", model, "--horizon", 5)
    assert code == 0, err
    frame = pd.read_csv(folder / "sales-forecast.csv")
    assert frame["date"].tolist() == [f"2020-03-{day}" for day in range(21, 26)]
    assert np.isfinite(frame.drop(columns="date").to_numpy()).all()
    assert "sales: 80 values, 2020-01-01 to 2020-03-20, freq D, season 7" in out


def test_seed_fixes_the_output(run, write, folder):
    path = write(dated(80, value=wave))
    contents = []
    for seed in (1, 1, 2):
        assert run("forecast", path, "--seed", seed, "--origins", 0)[0] == 0
        contents.append((folder / "sales-forecast.csv").read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_several_series_are_forecast_separately(run, write, folder):
    rows = ["shop,day,n"]
    rows += [f"{shop},{i},{i * slope}" for i in range(40) for shop, slope in (("a", 1), ("b", 2))]
    path = write("\n".join(rows))
    code, out, err = run("forecast", path, "--id", "shop", "--model", "drift", "--horizon", 3)
    assert code == 0, err
    frame = pd.read_csv(folder / "sales-forecast.csv")
    assert frame["shop"].tolist() == list("aaabbb")
    assert frame["day"].tolist() == [40, 41, 42] * 2
    np.testing.assert_allclose(frame["forecast"], [40, 41, 42, 80, 82, 84])
    assert "10 origins of each of 2 series" in out
    assert (folder / "sales-forecast.png").stat().st_size > 10_000


def test_options_of_the_file_reach_the_reader(run, write, folder):
    text = dated(60, shape="%d.%m.%Y", separator=";", value="{i},250", header=("Tag", "Wert"))
    options = ["--sep", ";", "--decimal", ",", "--date-format", "%d.%m.%Y", "--freq", "D"]
    options += ["--time", "Tag", "--target", "Wert", "--missing", "ffill", "--encoding", "utf-8"]
    code, _, err = run(
        "forecast", write(text), *options, "--model", "naive", "--horizon", 1, "--origins", 0
    )
    assert code == 0, err
    frame = pd.read_csv(folder / "sales-forecast.csv")
    assert frame.loc[0, ["Tag", "forecast"]].tolist() == ["2020-03-01", 59.25]


def test_the_example_of_the_help_works(run, write, folder):
    text = dated(40, shape="%d.%m.%Y", separator=";", value="{i},250", header=("Monat", "Umsatz"))
    options = ["--sep", ";", "--decimal", ",", "--date-format", "%d.%m.%Y", "--missing", "ffill"]
    code, _, err = run("forecast", write(text, "export.csv"), *options, "--model", "naive")
    assert code == 0, err
    assert list(pd.read_csv(folder / "export-forecast.csv"))[:2] == ["Monat", "forecast"]


def test_ten_digits_are_written(run, write, folder):
    path = write("y\n" + "".join(f"{1 / (i + 3)}\n" for i in range(40)))
    assert run("forecast", path, "--model", "naive", "--origins", 0, "--horizon", 1)[0] == 0
    assert (folder / "sales-forecast.csv").read_text().splitlines()[1].split(",")[
        1
    ] == "0.02380952381"


def test_a_short_series_does_not_stop_the_others(run, write, folder):
    rows = [f"a,{i},{wave(i)}" for i in range(40)] + [f"b,{i},1" for i in range(8)] + ["c,0,1"]
    path = write("\n".join(["shop,day,n", *rows]))
    common = ["--id", "shop", "--horizon", 2, "--origins", 0]
    code, _, err = run("forecast", path, *common)
    assert code == 0, err
    assert "note: series 'b' is left out: it has 8 rows, but esn needs at least 20" in err
    assert "note: series 'c' is left out: it has one row" in err
    assert pd.read_csv(folder / "sales-forecast.csv")["shop"].tolist() == ["a", "a"]
    assert run("forecast", path, *common, "--model", "drift")[0] == 0
    assert set(pd.read_csv(folder / "sales-forecast.csv")["shop"]) == {"a", "b"}


def test_too_long_a_season_is_named(run, write):
    path = write(dated(60, value=wave))
    code, out, err = run("forecast", path, "--season", 50, "--horizon", 5, "--model", "naive")
    assert code == 0, err
    assert "no backtest: the series is too short for a backtest (season 50 and horizon 5" in out
    assert "need 105 rows, not 60" in out
    code, _, err = run("backtest", path, "--season", 50, "--horizon", 5, "--model", "naive")
    assert code == 2
    assert "season 50" in err
    path = write(dated(105, value=wave))
    assert "over 1 origins" in run("backtest", path, "--season", 50, "--horizon", 5)[1]


def test_levels_outputs_and_print_only(run, write, folder):
    path = write(dated(60, value=wave))
    common = ["--model", "naive", "--horizon", 2, "--origins", 0]
    code, out, _ = run("forecast", path, *common, "--print-only", "--level", 50, 99.5)
    assert code == 0
    assert "lo-99.5" in out
    out = run("forecast", path, *common, "--print-only", "--level", 50, "--level", 70)[1]
    assert "lo-50" in out
    assert "lo-70" in out
    assert "lo-80" not in out
    assert sorted(p.name for p in folder.iterdir()) == ["sales.csv"]
    code, _, err = run(
        "forecast", path, *common, "--output", folder / "o.csv", "--plot", folder / "p.svg"
    )
    assert code == 0, err
    assert "<svg" in (folder / "p.svg").read_text("utf-8")
    assert len(pd.read_csv(folder / "o.csv")) == 2


def test_own_outputs_are_replaced(run, write, folder):
    path = write(dated(60, value=wave))
    (folder / "sales-forecast.csv").write_text("old")
    assert run("forecast", path, "--model", "naive", "--origins", 0)[0] == 0
    assert (folder / "sales-forecast.csv").read_text().startswith("date,forecast")


def test_links_outlive_the_files_they_stand_for(run, write, folder):
    path = write(dated(60, value=wave))
    (folder / "real.csv").write_text("old")
    (folder / "link.csv").symlink_to("real.csv")
    common = ["--model", "naive", "--origins", 0]
    code, _, err = run("forecast", path, *common, "--output", "link.csv")
    assert code == 0, err
    assert (folder / "link.csv").is_symlink()
    assert (folder / "real.csv").read_text().startswith("date,forecast")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_devices_are_not_replaced(run, write, folder):
    path = write(dated(60, value=wave))
    os.mkfifo(folder / "pipe.csv")
    code, _, err = run("forecast", path, "--model", "naive", "--output", "pipe.csv")
    assert code == 2
    assert "pipe.csv is a device or pipe; name a file" in err
    assert (folder / "pipe.csv").is_fifo()


def test_output_and_picture_must_differ(run, write, folder):
    path = write(dated(60, value=wave))
    code, _, err = run(
        "forecast", path, "--model", "naive", "--output", "a.png", "--plot", folder / "a.png"
    )
    assert code == 2
    assert "--output and --plot are the same file" in err


@pytest.mark.parametrize(
    ("command", "header", "options"),
    [
        ("forecast", ("forecast", "y"), ["--time", "forecast"]),
        ("forecast", ("date", "lo-80"), []),
        ("backtest", ("date", "hi-95"), []),
    ],
)
def test_names_that_the_output_needs_are_refused(run, write, command, header, options):
    path = write(dated(60, value=wave, header=header))
    code, out, err = run(command, path, "--model", "naive", *options)
    assert code == 2
    assert out == ""
    assert "has the name of a column of the output; rename it" in err


def test_an_identifier_never_replaces_a_column_of_the_output(run, write, folder):
    lines = dated(40, value=wave).splitlines()
    text = "\n".join(["cutoff," + lines[0], *(f"{k},{row}" for k in "AB" for row in lines[1:])])
    common = ["--id", "cutoff", "--model", "naive", "--horizon", 2, "--origins", 2]
    code, _, err = run("backtest", write(text), *common, "--output", "b.csv")
    assert code == 2
    assert "column 'cutoff' has the name of a column of the output" in err
    assert run("forecast", "sales.csv", *common)[0] == 0


def test_tiny_numbers_can_be_read_in_the_tables(run, write):
    path = write(dated(40, value=lambda i: f"{wave(i)}e-12"))
    code, out, _ = run("forecast", path, "--model", "naive", "--origins", 0, "--horizon", 2)
    assert code == 0
    assert re.search(r"\b\d\.\d{3}e-11\b", out)


def test_backtest_command(run, write, folder):
    path = write(dated(60, value=wave))
    code, out, err = run(
        "backtest", path, "--model", "seasonal", "--horizon", 3, "--origins", 4, "--output", "b.csv"
    )
    assert code == 0, err
    frame = pd.read_csv(folder / "b.csv")
    assert len(frame) == 12
    assert {"cutoff", "step", "y", "forecast", "lo-80", "hi-95"} <= set(frame)
    assert "seasonal naive" in out
    assert "drift" in out


def test_backtest_picture(run, write, folder):
    path = write(dated(60, value=wave))
    common = ("backtest", path, "--model", "naive", "--horizon", 3, "--origins", 2)
    code, out, err = run(*common, "--plot", "b.svg")
    assert code == 0, err
    assert out.endswith("wrote b.svg\n")
    assert "Absolute error" in (folder / "b.svg").read_text(encoding="utf-8") or (
        (folder / "b.svg").stat().st_size > 10_000  # text drawn as paths
    )
    assert "is no kind of picture" in run(*common, "--plot", "b.txt")[2]
    assert "the same file" in run(*common, "--plot", "b.svg", "--output", "b.svg")[2]


def test_short_series_is_forecast_without_a_backtest(run, write):
    code, out, err = run("forecast", write(dated(22, value=wave)), "--season", 1, "--horizon", 15)
    assert code == 0, err
    assert "no backtest: the series is too short" in out
    code, _, err = run("backtest", "sales.csv", "--season", 1, "--horizon", 15)
    assert code == 2
    assert "too short for a backtest" in err


def test_without_matplotlib_a_line_says_so(run, write, monkeypatch):
    monkeypatch.setattr("echocast._cli_forecast.has_matplotlib", lambda: False)
    path = write(dated(60, value=wave))
    common = ["--model", "naive", "--horizon", 2, "--origins", 0]
    code, out, _ = run("forecast", path, *common)
    assert code == 0
    assert "no picture: matplotlib is not installed" in out
    code, _, err = run("forecast", path, *common, "--plot", "p.png")
    assert code == 2
    assert "--plot needs matplotlib" in err


def test_progress_goes_to_standard_error_when_asked_for(run, write):
    path = write(dated(60, value=wave))
    quiet = run("forecast", path, "--model", "naive", "--horizon", 2)
    loud = run("forecast", path, "--model", "naive", "--horizon", 2, "--progress")
    assert quiet[2] == ""
    assert "backtest" in loud[2]
    assert [line for line in loud[1].splitlines() if "progress" in line] == []


# ------------------------------------------------------------ errors, one line

BAD_FILES = [
    ("", [], "the file is empty"),
    ("date,y\n", [], "no row of data"),
    (dated(50, value="x"), [], "no column of numbers"),
    (dated(50, value="1,2", header=("date", "a,b")), [], "name one with --target"),
    (dated(50, drop=(5,)), [], "1 row is missing, first 2020-01-06"),
    (dated(50, value=lambda i: "" if i == 7 else "1"), [], "1 missing value, first at 2020-01-08"),
    (dated(50).replace("2020-01-09", "2020-02-31"), [], "'2020-02-31' in line 10"),
    (dated(50).replace("2020-01-09", "2020-01-08"), [], "2020-01-08 twice, in lines 9 and 10"),
    (dated(5), [], "sales.csv: the series has 5 rows, but esn needs at least 20; pass --model dri"),
    (dated(3), [], "needs at least 20; pass --model naive"),
    (dated(2), [], "needs at least 20; add rows"),
    (dated(50), ["--output", "o.xlsx"], "--output o.xlsx: only CSV is written; use o.csv"),
    (dated(5), ["--model", "seasonal"], "has 5 rows, but seasonal naive needs at least 8"),
    (dated(50), ["--target", "z"], "no column 'z'"),
    (dated(50), ["--id", "shop"], "no column 'shop' for --id"),
    (dated(50), ["--example", "co2"], "not both"),
    (dated(50), ["--output", "none/o.csv"], "there is no folder none"),
    (dated(50), ["--output", "sales.csv"], "would replace the input file"),
    (dated(50), ["--output", "."], "is a folder"),
    (dated(50), ["--plot", "picture.xyz"], "no kind of picture"),
]


@pytest.mark.parametrize(("text", "options", "sentence"), BAD_FILES, ids=[s for *_, s in BAD_FILES])
def test_bad_files_are_refused_with_exit_code_2(run, write, folder, text, options, sentence):
    path = write(text)
    code, _, err = run("forecast", path, *options)
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("echocast: error: ")
    assert sentence in err
    assert [p.name for p in folder.iterdir()] == ["sales.csv"]
    assert (folder / path).read_text("utf-8") == text


BAD_ARGUMENTS = [
    ([], "required: COMMAND"),
    (["forecst"], "invalid choice: 'forecst'"),
    (["forecast", "none.csv"], "none.csv: no such file"),
    (["forecast", "--horizon", "0"], "--horizon: must be an integer of at least 1"),
    (["forecast", "--horizon", "two"], "got 'two'"),
    (["forecast", "--horizon", "1000001"], "at most 1000000"),
    (["forecast", "--level", "100"], "must be at least 1 and below 100"),
    (["forecast", "--level", "0.8"], "(80 means 80 %), got 0.8"),
    (["forecast", "--level", "80", "f.csv"], "FILE goes before --level"),
    (["forecast", "--seed", "-1"], "at least 0, at most 4294967295"),
    (["forecast", "--model", "arima"], "invalid choice: 'arima'"),
    (["forecast", "--example", "co2"], "co2 has missing values; pass --missing ffill"),
    (["forecast", "--xyz"], "unrecognized arguments: --xyz (see echocast forecast --help)"),
    (
        ["forecast", "f.csv", "--seasons", "4"],
        "--seasons 4; did you mean --season? (see echocast f",
    ),
    (["backtest", "--horizn=4"], "--horizn=4; did you mean --horizon? (see echocast backtest --h"),
    (["forecast", "a.csv", "b.csv"], "unrecognized arguments: b.csv (see echocast forecast --help"),
    (["backtest", "--origins", "0"], "leaves nothing to score"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_ARGUMENTS)
def test_bad_arguments_are_refused_with_exit_code_2(run, arguments, sentence):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err


def test_failures_in_the_work_have_exit_code_1(run, monkeypatch):
    def fail(arguments):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(_cli, "_forecast", fail)
    assert run("forecast") == (1, "", "echocast: error: RuntimeError: two lines\n")
    code, _, err = run("forecast", "--traceback")
    assert code == 1
    assert "Traceback" in err


def test_interruption_has_exit_code_130(run, monkeypatch):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_cli, "_forecast", interrupt)
    assert run("forecast") == (130, "", "echocast: interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_interrupted_backtest_leaves_no_file(write, folder):
    path = write(dated(400, value=wave))
    command = [sys.executable, "-m", "echocast", "forecast", path, "--progress", "--origins", "200"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    with process:
        for line in process.stderr:
            if line.startswith("backtest of esn"):
                process.send_signal(signal.SIGINT)
                break
        assert process.stderr.read().splitlines()[-1] == "echocast: interrupted"
    assert process.returncode == 130
    assert [p.name for p in folder.iterdir()] == ["sales.csv"]


def test_warnings_become_one_line_each(run, write):
    code, out, err = run("forecast", write(dated(60, value="3")), "--horizon", 2)
    assert code == 0
    assert err.count("warning: y is constant") == 1
    assert " - " in out  # a scaled error without a scale


# ------------------------------------------------------- the other commands


def test_version_and_help(run):
    from echocast import __version__

    assert run("--version") == (0, f"echocast {__version__}\n", "")
    for arguments in (["--help"], *([name, "--help"] for name in COMMANDS)):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "examples:" in out


COMMANDS = ("forecast", "backtest", "warmup", "show-versions")


def test_show_versions(run):
    code, out, _ = run("show-versions")
    assert code == 0
    for name in ("python", "numpy", "numba", "kernel cache"):
        assert f"\n{name} " in f"\n{out}"


@pytest.mark.parametrize("arguments", ["--help", "forecast --help", "show-versions"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_module_and_reader_that_leaves(folder, arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    # The reader has left before anything is written, however fast we are.
    command = f"{{ sleep 0.05; {sys.executable} -m echocast {arguments}; echo $? >&2; }} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    # Without a buffer, argparse itself passes over the failure of --help.
    assert done.stderr in (("0\n", "1\n") if unbuffered else ("1\n",))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written(folder, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    command = [sys.executable, "-m", "echocast", "--help"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("echocast: error: the output cannot be written (No space")
    assert done.stderr.count("\n") == 1
