"""Damage of any kind is noticed: no file that was cut, flipped or mixed up is ever loaded."""

import io

import numpy as np
import pytest

import echocast
import saved_models
from echocast.exceptions import CorruptModelError, ModelFileError, UnsafeModelError
from model_bytes import joined, loaded, members_of, stored
from saved_models import fitted

SMALL = "transform Standardize"


@pytest.fixture(scope="module")
def content():
    return stored(fitted(SMALL))


def refusal(content):
    """The error that `load` gives; anything but a `ModelFileError` passes through."""
    try:
        loaded(content)
    except ModelFileError as error:
        return error
    return None


def test_every_cut_is_refused(content):
    found = [refusal(content[:n]) for n in range(len(content))]
    assert [n for n, error in enumerate(found) if type(error) is not CorruptModelError] == []


def test_every_byte_more_is_refused(content):
    for extra in (b"\0", b"PK\5\6", content, b"a" * 70000):
        assert isinstance(refusal(content + extra), ModelFileError)
        assert isinstance(refusal(extra + content), ModelFileError)


def flipped(content, place):
    changed = bytearray(content)
    changed[place // 8] ^= 1 << (place % 8)
    return bytes(changed)


def test_no_flipped_bit_is_loaded(content):
    places = range(0, 8 * len(content), 3)
    assert [k for k in places if refusal(flipped(content, k)) is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [SMALL, "NaiveForecaster", "MarkovChain", "RunningReadout"])
def test_no_flipped_bit_of_a_whole_file_is_loaded(name):
    content = stored(fitted(name))
    assert [k for k in range(8 * len(content)) if refusal(flipped(content, k)) is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ESNRegressor", "ESNForecaster", "RNNRegressor gru"])
def test_no_cut_and_no_byte_of_a_larger_file_goes_unnoticed(name):
    content = stored(fitted(name))
    rng = np.random.RandomState(0)
    assert [n for n in range(len(content)) if refusal(content[:n]) is None] == []
    bits = rng.randint(8, size=len(content)) + 8 * np.arange(len(content))
    assert [k for k in bits if refusal(flipped(content, int(k))) is None] == []


def mutated(content, rng):
    """Several random edits: pieces cut, doubled, zeroed, moved, replaced."""
    changed = content
    for _ in range(rng.randint(1, 4)):
        a, b = np.sort(rng.randint(len(changed) + 1, size=2))
        b = min(b, a + rng.randint(1, 200))
        piece, noise = changed[a:b], rng.bytes(b - a)
        kind = rng.randint(6)
        middle = [b"", piece * 2, bytes(len(piece)), noise, piece[::-1], piece + noise][kind]
        changed = changed[:a] + middle + changed[b:]
    return changed


def assert_mutants_are_refused(name, n_mutants, seed):
    content, rng = stored(fitted(name)), np.random.RandomState(seed)
    wrong = 0
    for _ in range(n_mutants):
        mutant = mutated(content, rng)
        wrong += mutant != content and refusal(mutant) is None
    assert wrong == 0


@pytest.mark.parametrize("name", ["transform Standardize", "ESNRegressor"])
def test_mutants_are_refused(name):
    assert_mutants_are_refused(name, 300, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MarkovChain", "ESNRegressor", "ESNForecaster panel"])
def test_many_mutants_are_refused(name):
    assert_mutants_are_refused(name, 10_000, 1)


def test_parts_of_two_files_do_not_go_together():
    one, other = stored(fitted("ESNRegressor")), stored(fitted("ESNRegressor matrix"))
    a, b = members_of(one), members_of(other)
    for name in a.keys() & b.keys():
        if a[name] != b[name]:
            assert isinstance(refusal(joined({**a, name: b[name]})), CorruptModelError)


@pytest.mark.parametrize("k", range(3))
def test_a_member_that_is_missing_doubled_or_new_is_refused(content, k):
    members = members_of(content)
    last = list(members)[-1]
    less = {n: v for n, v in members.items() if n != last}
    more = {**members, "arrays/zzz.npy": members[last]}
    turned = dict(reversed(members.items()))
    assert isinstance(refusal(joined([less, more, turned][k])), CorruptModelError)


@pytest.mark.parametrize("other", [b"", b"PK", b"\x80\x04K\x01.", b"\x93NUMPY", bytes(500)])
def test_other_files_are_refused_in_one_sentence(other, tmp_path):
    path = tmp_path / "other.echocast"
    path.write_bytes(other)
    with pytest.raises(CorruptModelError, match=r"^'other.echocast' is not a readable model file"):
        echocast.load(path)


def test_no_file_and_no_permission_are_errors_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        echocast.load(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        echocast.load(tmp_path)


# ------------------------------------------------------------------ digest, limit, version


def test_the_digest_of_the_whole_file(content):
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    assert loaded(content, sha256=digest.upper()).mean_.shape == (2,)
    with pytest.raises(CorruptModelError, match="differs from the expected"):
        loaded(content, sha256="0" * 64)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        loaded(content, sha256="abc")


def test_the_limit_is_kept_and_named(content):
    with pytest.raises(UnsafeModelError, match=f"max_bytes={len(content) - 1}"):
        loaded(content, max_bytes=len(content) - 1)
    with pytest.raises(UnsafeModelError, match="needs max_bytes="):
        loaded(content, max_bytes=len(content))
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="max_bytes"):
            loaded(content, max_bytes=wrong)


def test_a_file_that_cannot_seek_is_read(content):
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.rest = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.rest.readinto(buffer)

    assert echocast.load(io.BufferedReader(Pipe())).mean_.shape == (2,)
    with pytest.raises(UnsafeModelError, match="longer than max_bytes=100"):
        echocast.load(io.BufferedReader(Pipe()), max_bytes=100)


def test_numpy_and_zip_readers_of_others_open_it(tmp_path):
    import zipfile

    model = fitted("ESNRegressor")
    path = model.save(tmp_path / "model.echocast")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        name = next(n for n in archive.namelist() if "rows" in n)
        with archive.open(name) as file:
            array = np.load(io.BytesIO(file.read()))
    assert array.tobytes() == model._fit_factor._buffer.pending().tobytes()
    assert saved_models.same(echocast.load(path).coef_, model.coef_)
