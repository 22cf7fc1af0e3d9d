"""Model files as bytes, honest and forged: for the tests of what `load` refuses."""

import hashlib
import io
import json

import numpy as np

import echocast
from echocast._files_arrays import npy_header
from echocast._files_container import pack


def stored(model):
    """The bytes of a model file."""
    file = io.BytesIO()
    echocast.save(model, file)
    return file.getvalue()


def loaded(content, **options):
    return echocast.load(io.BytesIO(content), **options)


def members_of(content):
    """Names and contents of the members, in order, read by the zip reader of Python."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_of(content):
    return json.loads(members_of(content)["manifest.json"])


def joined(members):
    """A file of these members, whose layout is right, whatever is in them."""
    return b"".join(map(bytes, pack(members.items())))


def forged(content, change=None, *, text=None, arrays=None):
    """The file with a changed manifest, all digests right.

    `change` edits the parsed manifest in place, `text` edits its bytes, and `arrays` maps names to
    arrays that are added or replaced.
    """
    members = members_of(content)
    manifest = json.loads(members["manifest.json"])
    for name, array in (arrays or {}).items():
        array = np.asarray(array)
        data = npy_header(array.dtype.str, array.shape) + array.tobytes()
        members[f"arrays/{name}.npy"] = data
        digest = hashlib.sha256(data).hexdigest()
        described = {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}
        manifest["arrays"][name] = described
    if change is not None:
        change(manifest)
    raw = json.dumps(manifest, sort_keys=True).encode()
    raw = raw if text is None else text(raw)
    members["manifest.json"] = raw
    members["manifest.sha256"] = hashlib.sha256(raw).hexdigest().encode()
    heads = {k: members.pop(k) for k in ("manifest.json", "manifest.sha256")}
    return joined({**heads, **dict(sorted(members.items()))})
