"""Teach a recursive network what and, or and not mean, and ask it about parts of an expression.

It is told the values of whole expressions of up to four levels. One transition is shared by all
nodes of all trees, so its answers hold for eight levels, and at every node. Writes ``trees.png``.
"""

import matplotlib.pyplot as plt
import numpy as np

from echocast.datasets import logic_expressions
from echocast.reservoir import RecursiveClassifier, read_trees

X, y = logic_expressions(6400, (1, 4), random_state=0)
model = RecursiveClassifier(
    n_units=16, embedding_size=16, learning_rate_init=1e-2, max_iter=3, random_state=0
)
model.fit(X, y)
deep, truth = logic_expressions(500, 8, random_state=1)
accuracy = model.score(deep, truth)

shown = next(tree for tree in read_trees(logic_expressions(50, 4, random_state=3)[0])
             if len(tree.leaves) == 8)  # fmt: skip
shares = model.predict_proba([shown], nodes=True)[0][:, 1]
places = np.zeros((len(shown), 2))
places[:, 1] = shown.levels
column = 0
for node, (left, right) in enumerate(zip(shown.left, shown.right)):  # children come first
    if left < 0:
        places[node, 0], column = column, column + 1
    else:
        places[node, 0] = places[[left, right if right >= 0 else left], 0].mean()

figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for node, children in enumerate(zip(shown.left, shown.right)):
    for child in children:
        if child >= 0:
            ax.plot(*places[[node, child]].T, color="#999999", lw=1, zorder=0)
dots = ax.scatter(*places.T, c=shares, s=700, cmap="RdYlBu", vmin=0, vmax=1, edgecolors="black")
for token, (x, height) in zip(shown.tokens, places):
    ax.text(x, height, token, ha="center", va="center", fontsize=9, color="white")
ax.margins(0.08, 0.12)
figure.colorbar(dots, label="probability of being true")
ax.set_axis_off()
figure.savefig("trees.png", dpi=110)

print(f"right for {100 * accuracy:.1f} % of expressions of eight levels, after four in training")
assert accuracy > 0.98
