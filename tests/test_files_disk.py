"""A name never stands for half a file, whatever fails while it is written."""

import errno
import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

import echocast
from echocast import _files_write
from echocast.forecasting import NaiveForecaster
from model_bytes import stored
from saved_models import fitted


@pytest.fixture
def old():
    return fitted("transform Standardize")


@pytest.fixture
def new():
    return fitted("transform Detrend")


class FailingDisk:
    """The functions of `os`, of which the k-th call that touches the disk fails."""

    TOUCHING = ("open", "fsync", "replace", "link")

    def __init__(self, k, code):
        self.left, self.code = k, code

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise OSError(self.code, os.strerror(self.code))

    def __getattr__(self, name):
        found = getattr(os, name)
        if name not in self.TOUCHING:
            return found

        def counted(*args, **kwargs):
            self._count()
            return found(*args, **kwargs)

        return counted

    def opened(self, *args, **kwargs):
        disk, file = self, open(*args, **kwargs)  # noqa: SIM115

        class Writer:
            def write(self, data):
                disk._count()
                return file.write(data)

            def flush(self):
                disk._count()
                file.flush()

            def fileno(self):
                return file.fileno()

            def __enter__(self):
                return self

            def __exit__(self, *args):
                file.close()

        return Writer()


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR])
def test_the_disk_fails_at_the_kth_call(tmp_path, monkeypatch, old, new, code, overwrite):
    path = tmp_path / "model.echocast"
    before, after = (stored(old), stored(new)) if overwrite else (None, stored(new))
    for k in range(1, 100):
        for file in tmp_path.iterdir():
            file.unlink()
        if overwrite:
            old.save(path)
        disk = FailingDisk(k, code)
        monkeypatch.setattr(_files_write, "os", disk)
        monkeypatch.setattr(_files_write, "open", disk.opened, raising=False)
        try:
            echocast.save(new, path, overwrite=overwrite)
            failed = False
        except OSError:
            failed = True
        monkeypatch.undo()
        found = path.read_bytes() if path.exists() else None
        assert found in (before, after)
        assert found == after or failed
        assert {p.name for p in tmp_path.iterdir()} <= {path.name}
        if disk.left > 0:
            break
    assert 8 < k < 99


def interrupted(call, n, file):
    """Run `call`, with Ctrl-C at the n-th line of a module; whether it ran to the end."""
    seen = 0

    def trace(frame, event, arg):
        nonlocal seen
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            seen += 1
            if seen == n:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(before)
    return True


# Between opening a file and its `with` block, the garbage collector is left to close it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_leaves_the_old_or_the_new_file(tmp_path, old, new):
    path = tmp_path / "model.echocast"
    before, after = stored(old), stored(new)
    for n in range(1, 1000):
        path.write_bytes(before)
        done = interrupted(lambda: new.save(path), n, _files_write.__file__)
        assert path.read_bytes() in (before, after)
        if done:
            break
    assert 20 < n < 999
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == after


def test_a_file_object_gets_the_same_bytes(tmp_path, old):
    with open(tmp_path / "a", "wb") as file:
        assert echocast.save(old, file) is None
    assert (tmp_path / "a").read_bytes() == old.save(tmp_path / "b").read_bytes()
    assert echocast.load(io.BytesIO((tmp_path / "a").read_bytes())).columns is None


def test_a_link_is_followed_and_the_mask_of_the_user_holds(tmp_path, old, new):
    path, link = tmp_path / "real.echocast", tmp_path / "link.echocast"
    link.symlink_to(path)
    mask = os.umask(0o027)
    try:
        assert old.save(link) == path
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    new.save(str(link))
    assert path.read_bytes() == stored(new)


@pytest.mark.skipif(os.name == "nt", reason="permissions of Unix")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, old, new):
    path = old.save(tmp_path / "model.echocast")
    for mode in (0o600, 0o664, 0o640):
        path.chmod(mode)
        new.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="is read-only"):
        old.save(path)
    with pytest.raises(FileExistsError):
        old.save(path, overwrite=False)
    assert path.read_bytes() == stored(new)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_names_as_long_as_the_system_allows(tmp_path, old):
    path = tmp_path / ("m" * 246 + ".echocast")
    assert old.save(path) == path
    assert old.save(path).read_bytes() == stored(old)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_file_object_that_takes_little_at_a_time_gets_all(old):
    class Slow(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data[:7])
            return min(7, len(data))

    class Full(Slow):
        def write(self, data):
            return None

    file = Slow()
    echocast.save(old, file)
    assert file.content == stored(old)
    with pytest.raises(BlockingIOError):
        echocast.save(old, Full())


def test_files_of_text_are_refused(tmp_path, old):
    with pytest.raises(TypeError, match="'wb'"):
        echocast.save(old, io.StringIO())
    path = old.save(tmp_path / "model.echocast")
    with open(path, encoding="latin-1") as file, pytest.raises(TypeError, match="'rb'"):
        echocast.load(file)


def test_folders_and_devices_are_not_replaced(tmp_path, old):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        old.save(tmp_path)
    if os.path.exists("/dev/null"):
        with pytest.raises(OSError, match="no regular file"):
            old.save("/dev/null")
    with pytest.raises(FileNotFoundError):
        old.save(tmp_path / "nowhere" / "model")
    assert list(tmp_path.iterdir()) == []


def test_overwrite(tmp_path, old, new):
    path = tmp_path / "model.echocast"
    new.save(path, overwrite=False)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        old.save(path, overwrite=False)
    assert path.read_bytes() == stored(new)
    with pytest.raises(ValueError, match="overwrite"):
        old.save(path, overwrite="no")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_model_that_cannot_be_saved_leaves_the_file_alone(tmp_path, old):
    path = old.save(tmp_path / "model.echocast")
    with pytest.raises(Exception, match="not fitted"):
        NaiveForecaster().save(path)
    assert path.read_bytes() == stored(old)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_killed_processes_left_is_swept_when_it_is_old(tmp_path, old):
    path = tmp_path / "model.echocast"
    stale = tmp_path / f".{path.name}.{'0' * 16}.tmp"
    fresh = tmp_path / f".{path.name}.{'1' * 16}.tmp"
    foreign = tmp_path / f".other.echocast.{'2' * 16}.tmp"
    kept = tmp_path / f".{path.name}.tmp"
    for file in (stale, fresh, foreign, kept):
        file.write_bytes(b"half")
    for file in (stale, foreign, kept):
        os.utime(file, (time.time() - 4000,) * 2)
    old.save(path)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in (path, fresh, foreign, kept)}


def test_threads_that_save_to_one_name_leave_one_whole_file(tmp_path, old, new):
    path = tmp_path / "model.echocast"
    threads = [threading.Thread(target=m.save, args=(path,)) for m in (old, new) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in (stored(old), stored(new))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


LOOP = """
import sys, echocast
models = [echocast.load(name) for name in sys.argv[1:3]]
models[1].save(sys.argv[3])
print("ready", flush=True)
while True:
    for model in models:
        model.save(sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_process_leaves_a_whole_file(tmp_path):
    models = [fitted(name) for name in ("ESNRegressor", "LocalESNRegressor")]
    given = [str(m.save(tmp_path / f"given{k}")) for k, m in enumerate(models)]
    path = tmp_path / "model.echocast"
    wanted = [stored(m) for m in models]
    for k in range(20):
        command = [sys.executable, "-c", LOOP, *given, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(0.02 + 0.005 * k)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert path.read_bytes() in wanted
    left = [p for p in tmp_path.iterdir() if p.suffix == ".tmp"]
    for file in left:
        os.utime(file, (time.time() - 4000,) * 2)
    models[0].save(path)
    assert [p for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []
