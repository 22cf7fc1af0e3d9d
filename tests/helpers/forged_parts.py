"""Read and use models with one forged array or number each, with compiled code checking bounds.

``NUMBA_BOUNDSCHECK=1 ECHOCAST_CACHE=0 python forged_parts.py NAME...`` prints, for each name, how
many were refused, raised an exception when used, gave an answer, and let a kernel leave an array.
"""

import sys
import warnings

import numpy as np

import saved_models
from echocast.exceptions import ModelFileError
from model_bytes import forged, loaded, manifest_of, stored

NOT_VALUES = {"$", "axes", "from", "hex", "id", "shape"}


def parts(node, path=()):
    """(path, node) of every array, and (path, number) of every int of a tree."""
    if isinstance(node, dict):
        if node.get("$") == "array" and "items" not in node:
            yield path, node
            return
        for key, value in node.items():
            if key not in NOT_VALUES:
                yield from parts(value, (*path, key))
    elif isinstance(node, list):
        for k, value in enumerate(node):
            yield from parts(value, (*path, k))
    elif type(node) is int:
        yield path, node


def put(path, value):
    """A change of the manifest at a path of keys and numbers."""

    def change(manifest):
        place = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def cases(manifest):
    """(change of the manifest, arrays that it needs), one for each forgery."""
    for path, node in parts(manifest["model"], ("model",)):
        if isinstance(node, int):
            yield from ((put(path, n), {}) for n in (node + 1, node - 1, 0, 50, -3) if n != node)
            continue
        said = manifest["arrays"].get(node.get("of"), node)
        shape, dtype = said["shape"], said["dtype"]
        change = put(path, {"$": "array", "of": "zz"})
        for k, length in enumerate(shape):
            for other in {max(0, length - 1), length + 3, 1, 0} - {length}:
                yield change, {"zz": np.ones([*shape[:k], other, *shape[k + 1 :]], dtype)}
        if dtype[1] in "iu":
            yield change, {"zz": np.full(shape, 100, dtype)}


def outcome(name, content, change, arrays):
    try:
        model = loaded(forged(content, change, arrays=arrays))
    except ModelFileError:
        return "refused"
    try:
        saved_models.said(name, model)
    except IndexError as error:  # of compiled code the message is this one
        return "outside" if str(error) == "index is out of bounds" else "raised"
    except Exception:
        return "raised"
    return "answered"


def main(names):
    warnings.simplefilter("ignore")
    for name in names:
        content = stored(saved_models.fitted(name))
        counts = dict.fromkeys(("refused", "raised", "answered", "outside"), 0)
        for change, arrays in cases(manifest_of(content)):
            counts[outcome(name, content, change, arrays)] += 1
        print(name, *counts.values(), sep=",")


if __name__ == "__main__":
    main(sys.argv[1:])
