"""Teach a neural Turing machine to copy, and watch its heads.

It reads rows of bits, then says them again. Trained on one to five rows, it copies ten: it writes
one slot of its memory after the other, goes back, and reads them in order. Writes ``memory.png``.
"""

import matplotlib.pyplot as plt

from echocast.datasets import copy_task
from echocast.reservoir import NeuralTuringMachine

X, y, weights = copy_task(12000, (1, 5), n_bits=3, random_state=0)
machine = NeuralTuringMachine(memory_shape=(16, 8), max_iter=1, random_state=0)
machine.fit(X, y, sample_weight=weights)
longer = copy_task(100, 10, n_bits=3, random_state=1)
accuracy = machine.score(*longer)

addresses = machine.addresses(longer[0][:1])
pictures = {
    "inputs": longer[0][0],
    "outputs, where they count": machine.predict_proba(longer[0][:1])[0] * longer[2][0][:, None],
    "where it writes": addresses.write[0][:, 0],
    "where it reads": addresses.read[0][:, 0],
}
figure, axes = plt.subplots(
    4, 1, figsize=(6, 6), sharex=True, height_ratios=[4, 3, 10, 10], layout="constrained"
)
for ax, (title, values) in zip(axes, pictures.items()):
    ax.imshow(values.T, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_title(title, fontsize=9)
    ax.set_yticks([])
axes[-1].set_xlabel("step")
figure.savefig("memory.png", dpi=110)

print(f"{100 * accuracy:.2f} % of the bits of ten rows are right, after five rows in training")
assert accuracy > 0.97
