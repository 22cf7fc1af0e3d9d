"""Time of one training step of recurrent networks, against PyTorch on the same processor.

Run with ``python benchmarks/bench_rnn.py`` where PyTorch is installed (``pip install torch
--index-url https://download.pytorch.org/whl/cpu``); about three minutes.

A step is forward, backward, mean squared error over all rows, clipping of the gradient's norm to
1 and Adam, in float32, for 100 steps of 8 inputs and one layer. Both libraries get the same data
and initial weights, and the losses before the first update must agree. The ways alternate
in one process, and each figure is the fastest of several turns, in ms for one step.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from echocast.reservoir.rnn._losses import squared_error
from echocast.reservoir.rnn._nodes import N_GATES, Workspace, recurrent_layer, shard_bounds
from echocast.reservoir.rnn._ops import affine
from echocast.reservoir.rnn._optim import clip_gradient, make_optimizer
from echocast.reservoir.rnn._params import ParamLayout
from echocast.reservoir.rnn._tape import Tape, Var

N_STEPS, N_INPUTS = 100, 8
RATE, MAX_NORM = 1e-3, 1.0


class Ours:
    """A layer, a linear readout and Adam over the shards of a batch."""

    def __init__(self, cell, n_units, X, Y, weights, n_threads):
        self.cell, self.X, self.Y, self.n_threads = cell, X, Y, n_threads
        n_sequences, n = X.shape[1], n_units
        self.layout = ParamLayout({name: value.shape for name, value in weights.items()})
        self.theta = np.empty(self.layout.size, np.float32)
        for name, view in self.layout.views(self.theta).items():
            view[...] = weights[name]
        self.optimizer = make_optimizer("adam", self.layout.size, np.float32)
        self.shards = shard_bounds(n_sequences, N_GATES[cell] * n * n)
        self.grads = [np.empty_like(self.theta) for _ in self.shards]
        self.works = [Workspace() for _ in self.shards]
        self.pool = ThreadPoolExecutor(n_threads)
        self.zero = Var(np.zeros((n_sequences, n), np.float32))
        self.share = np.float32(1 / Y[..., 0].size)

    def _shard(self, k):
        start, stop = self.shards[k]
        self.grads[k][:] = 0
        leaves = self.layout.leaves(self.theta, self.grads[k])
        x = self.X[:, start:stop]
        state = [Var(self.zero.data[start:stop])] * (2 if self.cell == "lstm" else 1)
        with Tape() as tape:
            h, _ = recurrent_layer(self.cell, Var(x), leaves, state, work=self.works[k])
            outputs = affine(h, leaves["out.W"], leaves["out.b"])
            weights = np.broadcast_to(self.share, x.shape[:2])
            loss = squared_error(outputs, self.Y[:, start:stop], weights)
        tape.backward(loss)
        return float(loss.data)

    def step(self):
        one_by_one = self.n_threads == 1 or len(self.shards) == 1
        run = map if one_by_one else self.pool.map
        loss = sum(run(self._shard, range(len(self.shards))))
        grad = self.grads[0]
        for other in self.grads[1:]:
            grad += other
        clip_gradient(grad, MAX_NORM)
        self.optimizer.step(self.theta, grad, RATE)
        return loss

    def run(self, n_steps):
        with threadpool_limits(1, "blas"):
            start = time.perf_counter()
            for _ in range(n_steps):
                self.step()
            return (time.perf_counter() - start) / n_steps


class Torch:
    """The same with PyTorch's layer, loss, clipping and optimiser."""

    def __init__(self, torch, cell, n_units, X, Y, weights, n_threads):
        self.torch, self.n_threads = torch, n_threads
        self.X, self.Y = torch.from_numpy(X), torch.from_numpy(Y)
        layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
        self.layer, self.out = layer(N_INPUTS, n_units), torch.nn.Linear(n_units, 1)
        bias_h = np.zeros_like(weights["b"])
        if cell == "gru":
            bias_h[2 * n_units :] = weights["b_n"]
        values = [weights["W_in"], weights["W"], weights["b"], bias_h]
        values += [weights["out.W"], weights["out.b"]]
        self.parameters = [*self.layer.parameters(), *self.out.parameters()]
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values):
                parameter.copy_(torch.from_numpy(value))
        self.optimizer = torch.optim.Adam(self.parameters, lr=RATE)
        self.loss = torch.nn.MSELoss()

    def step(self):
        self.optimizer.zero_grad()
        h, _ = self.layer(self.X)
        loss = self.loss(self.out(h), self.Y)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.parameters, MAX_NORM)
        self.optimizer.step()
        return float(loss.detach())

    def run(self, n_steps):
        self.torch.set_num_threads(self.n_threads)
        start = time.perf_counter()
        for _ in range(n_steps):
            self.step()
        return (time.perf_counter() - start) / n_steps


def make_problem(cell, n_units, batch_size):
    rng = np.random.RandomState(0)
    n, width = n_units, N_GATES[cell] * n_units
    X = rng.standard_normal((N_STEPS, batch_size, N_INPUTS))
    Y = rng.standard_normal((N_STEPS, batch_size, 1))
    shapes = {"W_in": (width, N_INPUTS), "W": (width, n), "b": (width,)}
    shapes |= {"b_n": (n,)} if cell == "gru" else {}
    shapes |= {"out.W": (1, n), "out.b": (1,)}
    weights = {name: rng.uniform(-1, 1, shape) / np.sqrt(n) for name, shape in shapes.items()}
    single = np.float32
    return X.astype(single), Y.astype(single), {k: v.astype(single) for k, v in weights.items()}


def compare(torch, cell, n_units, batch_size, n_threads, turns):
    """Fastest time of a step of both, in ms, and the difference of their losses."""
    problem = make_problem(cell, n_units, batch_size)
    ours = Ours(cell, n_units, *problem, n_threads)
    theirs = Torch(torch, cell, n_units, *problem, n_threads)
    # Later losses differ: PyTorch has a second bias, so that the sum moves twice as fast.
    difference = abs(ours.step() - theirs.step())
    n_steps = max(3, int(0.1 / theirs.run(2)))
    times = np.array([[way.run(n_steps) for way in (ours, theirs)] for _ in range(turns)])
    ours.pool.shutdown()
    return (*(1e3 * times.min(axis=0)), difference)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument("--units", nargs="+", type=int, default=[32, 64, 128])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("This comparison needs PyTorch, which is not installed: pip install torch")
        return
    print(f"PyTorch {torch.__version__}; ms for one step, ratio = PyTorch / ours")
    print("cell  units  batch  threads     ours  PyTorch  ratio")
    rows = []
    for cell in arguments.cells:
        for n_units in arguments.units:
            for batch_size in arguments.batches:
                for n_threads in arguments.threads:
                    found = compare(torch, cell, n_units, batch_size, n_threads, arguments.turns)
                    ours, theirs, difference = found
                    assert difference < 1e-5, difference
                    print(
                        f"{cell:5} {n_units:5} {batch_size:6} {n_threads:8} "
                        f"{ours:8.2f} {theirs:8.2f} {theirs / ours:6.2f}",
                        flush=True,
                    )
                    rows.append(
                        {
                            "cell": cell,
                            "n_units": n_units,
                            "batch_size": batch_size,
                            "n_threads": n_threads,
                            "ours_ms": ours,
                            "torch_ms": theirs,
                            "ratio": theirs / ours,
                        }
                    )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"torch": torch.__version__, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
