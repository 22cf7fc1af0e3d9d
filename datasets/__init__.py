"""Generators of chaotic systems and reservoir tasks, and small real series."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`datasets` is `echocast.datasets`; the checkout root should not be on sys.path"
    )

from ._bundled import load_co2, load_el_nino, load_sunspots
from ._delays import mackey_glass
from ._flows import double_scroll, lorenz63, lorenz96, rossler
from ._maps import henon, ikeda, logistic_map
from ._symbol_tasks import (
    adding_problem,
    copy_task,
    logic_expressions,
    repeat_copy_task,
    reversal_task,
)
from ._tables import from_wide, read_long_csv, to_long
from ._tasks import (
    channel_equalization,
    memory_task,
    multiple_superimposed_oscillators,
    narma,
)
from ._waves import kuramoto_sivashinsky

__all__ = [
    "adding_problem",
    "channel_equalization",
    "copy_task",
    "double_scroll",
    "from_wide",
    "henon",
    "ikeda",
    "kuramoto_sivashinsky",
    "load_co2",
    "load_el_nino",
    "load_sunspots",
    "logic_expressions",
    "logistic_map",
    "lorenz63",
    "lorenz96",
    "mackey_glass",
    "memory_task",
    "multiple_superimposed_oscillators",
    "narma",
    "read_long_csv",
    "repeat_copy_task",
    "reversal_task",
    "rossler",
    "to_long",
]
