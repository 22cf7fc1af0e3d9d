"""The kernel decorator and its checked cache."""

import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from echocast import _jit

posix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX owners and modes")


def weighted_sum(a, b):
    s = 0.0
    for i in range(a.shape[0]):
        s += a[i] * b[i]
    return s


ARGUMENTS = np.arange(5.0), np.full(5, 2.0)
EXPECTED = 20.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of its own for one test."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("ECHOCAST_CACHE", raising=False)
    _jit.cache_folder.cache_clear()
    yield _jit.cache_folder()
    _jit.cache_folder.cache_clear()


def called():
    """Compile anew, or load, and call; return the kernel."""
    kernel = _jit.kernel(weighted_sum)
    assert kernel(*ARGUMENTS) == EXPECTED
    return kernel


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


# -- hits and misses --------------------------------------------------------------------------


def test_second_kernel_comes_from_the_cache(folder):
    assert hits(called()) == 0
    assert len(list(folder.iterdir())) == 1
    assert hits(called()) == 1


def test_each_signature_has_its_own_entry(folder):
    kernel = called()
    assert kernel(np.arange(5.0, dtype=np.float32), ARGUMENTS[1]) == EXPECTED
    read_only = ARGUMENTS[0].copy()
    read_only.setflags(write=False)
    assert kernel(read_only, ARGUMENTS[1]) == EXPECTED
    assert len(list(folder.iterdir())) == 3


def test_changed_sources_are_another_cache(folder, monkeypatch):
    called()
    monkeypatch.setattr(_jit, "source_digest", lambda: "0" * 64)
    assert hits(called()) == 0


def test_flush_removes_the_entries_of_one_kernel(folder):
    kernel = called()
    (folder / "other-0.bin").touch()
    kernel._cache.flush()
    assert [path.name for path in folder.iterdir()] == ["other-0.bin"]


def test_disabled_cache_neither_reads_nor_writes(folder):
    kernel = _jit.kernel(weighted_sum)
    kernel._cache.disable()
    assert kernel(*ARGUMENTS) == EXPECTED
    assert list(folder.iterdir()) == []
    kernel._cache.enable()
    called()
    again = _jit.kernel(weighted_sum)
    again._cache.disable()
    assert again(*ARGUMENTS) == EXPECTED
    assert hits(again) == 0


# -- damage -----------------------------------------------------------------------------------


def damaged(content):
    """Yield truncations, flipped bits, and other accidents."""
    for length in (0, 1, 31, 32, 33, len(content) // 2, len(content) - 33, len(content) - 1):
        yield content[:length]
    for position in np.linspace(0, len(content) - 1, 12, dtype=int):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        yield bytes(flipped)
    yield b"\0" * len(content)
    yield content + b"\0"


def test_a_damaged_entry_is_a_miss_and_is_replaced(folder):
    called()
    (path,) = folder.iterdir()
    content = path.read_bytes()
    for wrong in damaged(content):
        path.write_bytes(wrong)
        assert hits(called()) == 0
        assert hits(called()) == 1


def test_a_sound_file_with_unknown_content_is_a_miss(folder):
    called()
    (path,) = folder.iterdir()
    body = b"no pickle"
    path.write_bytes(body + _jit.hashlib.sha256(body).digest())
    assert hits(called()) == 0


def test_an_entry_that_is_a_folder_does_no_harm(folder):
    called()
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    assert hits(called()) == 0
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_a_vanished_folder_does_no_harm(folder):
    kernel = _jit.kernel(weighted_sum)
    folder.rmdir()
    assert kernel(*ARGUMENTS) == EXPECTED


# -- the folder -------------------------------------------------------------------------------


def test_folder_is_private_and_named_by_the_sources(folder, tmp_path):
    assert folder.parent == tmp_path / "echocast"
    assert folder.name == f"kernels-{_jit.source_digest()[:16]}"
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
@pytest.mark.parametrize("parent", [False, True])
def test_folder_that_others_may_write_is_refused(folder, mode, parent, caplog):
    (folder.parent if parent else folder).chmod(mode)
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder() is None
    assert "not private" in caplog.text
    assert hits(called()) == 0


@posix
def test_folder_of_another_user_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder() is None


@posix
def test_symbolic_link_is_refused(folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder() is None


def test_without_a_writable_folder_kernels_compile_in_memory(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder() is None
    called()


def test_cache_can_be_switched_off(folder, monkeypatch):
    monkeypatch.setenv("ECHOCAST_CACHE", "0")
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder() is None
    called()
    assert list(folder.iterdir()) == []


def test_users_cache_folder_is_the_default(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    _jit.cache_folder.cache_clear()
    assert _jit.cache_folder().parent == tmp_path / "xdg" / "echocast"


@pytest.mark.parametrize(
    ("platform", "tail"),
    [("win32", ("Local",)), ("darwin", ("Library", "Caches")), ("linux", (".cache",))],
)
def test_users_cache_folder_of_each_platform(platform, tail, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(_jit.Path, "home", lambda: tmp_path)
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert _jit._user_cache().parts[-len(tail) :] == tail


def test_a_change_of_numbas_interface_means_memory_only(folder, monkeypatch):
    def fails(*_):
        raise AttributeError("renamed")

    monkeypatch.setattr(_jit, "_CheckedCache", fails)
    called()
    assert list(folder.iterdir()) == []


# -- sources ----------------------------------------------------------------------------------


def test_digest_follows_every_file_of_kernels(tmp_path, monkeypatch):
    for name in ("reservoir", "datasets"):
        (tmp_path / name / "rnn").mkdir(parents=True)

    def spec(name):
        return SimpleNamespace(submodule_search_locations=[str(tmp_path / name.split(".")[1])])

    monkeypatch.setattr(_jit, "find_spec", spec)
    digest = _jit.source_digest.__wrapped__
    seen = [digest()]
    for name in ("reservoir/_kernels.py", "datasets/_kernels.py", "reservoir/rnn/_cells.py"):
        for source in ("from echocast._jit import kernel\n", "from echocast._jit import kernel\n#"):
            (tmp_path / name).write_text(source)
            seen.append(digest())
    assert len(set(seen)) == len(seen)
    (tmp_path / "reservoir" / "_other.py").write_text("no kernel\n")
    assert digest() == seen[-1]


# -- fresh processes --------------------------------------------------------------------------


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout.strip()


def test_importing_kernels_compiles_nothing():
    code = (
        "from echocast.reservoir import _kernels_closed as m; "
        "print([len(k.signatures) for k in (m.loop, m.loop_batch, m.add_product) "
        "if hasattr(k, 'signatures')])"
    )
    assert run_python(code) == "[0, 0]"


def test_kernels_run_without_compilation():
    code = """
import numpy as np
from echocast.reservoir._drive import make_reservoir, run_states
res = make_reservoir(np.ones((3, 1)), np.roll(np.eye(3), 1, 0), np.zeros(3))
print(run_states(res, np.ones((2, 1)))[0][0, 0] - np.tanh(1.0))
"""
    assert abs(float(run_python(code, NUMBA_DISABLE_JIT="1"))) < 1e-15


def test_a_fresh_process_loads_what_another_one_compiled(folder, tmp_path):
    code = """
import numpy as np
from echocast.reservoir import _kernels
row = np.linspace(-1, 1, 5)
scale = np.empty(512)
buffers = np.empty(512), scale, scale.view(np.int64), np.empty(0)
_kernels.activate(0, row, buffers)
print(sum(_kernels.activate.stats.cache_hits.values()), abs(row[4] - np.tanh(1.0)) < 1e-15)
"""
    assert run_python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "0 True"
    assert run_python(code, NUMBA_CACHE_DIR=str(tmp_path)) == "1 True"
