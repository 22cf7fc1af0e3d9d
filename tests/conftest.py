"""Keep the checkout root off ``sys.path`` and the compiled kernels in an ignored folder."""

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Needs other libraries (the extra `interop`); `.ci/interop` names the folder, and then it runs.
collect_ignore = ["interop"]
# `python -m pytest` puts the root first, and then `import datasets` would find our folder.
sys.path[:] = [p for p in sys.path if Path(p or os.curdir).resolve() != ROOT]
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".numba_cache"))
os.environ.setdefault("MPLBACKEND", "Agg")

# Workers that share the processors must not have threads of BLAS on each of them as well; this
# comes before NumPy is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# A run in the background of a shell ignores Ctrl-C, and so would the tests of being interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
