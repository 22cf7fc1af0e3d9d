"""Draw the figures of the pages on the systems of the chapter.

Run with ``python docs/make_system_figures.py [FOLDER [NAME ...]]``; the default folder is
``docs/figures/systems``, and without names all figures are drawn, which takes three
to four minutes on one core. Most of them show one seed of an experiment in ``examples/systems``, or
a smaller version of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import _figures_networks
import _figures_sequences
from make_figures import plt, save

FIGURES = _figures_networks.FIGURES | _figures_sequences.FIGURES


def main():
    given = sys.argv[1:]
    folder = Path(given[0]) if given else Path(__file__).parent / "figures" / "systems"
    folder.mkdir(parents=True, exist_ok=True)
    for name in given[1:] or sorted(FIGURES):
        figure = FIGURES[name]()
        save(figure, folder / f"{name}.png")
        plt.close(figure)


if __name__ == "__main__":
    main()
