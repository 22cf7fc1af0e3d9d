"""Time of one training step of recurrent networks, against PyTorch on the same processor.

Run with ``python benchmarks/bench_rnn.py`` where PyTorch is installed (``pip install torch``);
about three minutes.

A step is forward, backward, mean squared error over all rows, clipping of the gradient's norm to
1 and Adam, in float32, for 100 steps of 8 inputs and one layer. Both libraries get the same data
and initial weights, and the losses before the first update must agree. The ways alternate
in one process, and each figure is the fastest of several turns, in ms for one step.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _record import add_json_option, row, write

from echocast.reservoir.rnn._heads import ValueHead
from echocast.reservoir.rnn._network import Network
from echocast.reservoir.rnn._nodes import N_GATES
from echocast.reservoir.rnn._objective import Objective, TrainData, one_blas_thread
from echocast.reservoir.rnn._optim import clip_gradient, make_optimizer

N_STEPS, N_INPUTS = 100, 8
RATE, MAX_NORM = 1e-3, 1.0


class Ours:
    """What an estimator does in each update: gradient by batch shards, clipping, Adam."""

    def __init__(self, cell, n_units, X, Y, weights, n_threads):
        n_sequences = X.shape[1]
        network = Network(cell, "tanh", (n_units,), N_INPUTS, 1, 1, X.dtype)
        names = {"out.W", "out.b"}
        named = {k if k in names else f"layers.0.{k}": value for k, value in weights.items()}
        self.theta = network.layout.pack(named, X.dtype)
        rows, targets = (
            np.ascontiguousarray(A.swapaxes(0, 1)).reshape(n_sequences * N_STEPS, -1)
            for A in (X, Y)
        )
        indptr = N_STEPS * np.arange(n_sequences + 1)
        data = TrainData(rows, indptr, targets, np.ones(len(rows), X.dtype))
        head = ValueHead("squared_error", 1)
        self.objective = Objective(network, head, data, n_jobs=n_threads)
        lanes = np.stack([indptr[:-1], indptr[1:]], axis=1)
        [self.chunk] = self.objective.chunks(lanes, np.arange(n_sequences), None)
        self.grad = np.empty_like(self.theta)
        self.optimizer = make_optimizer("adam", len(self.theta), X.dtype)

    def step(self):
        loss, _ = self.objective.gradient(self.theta, self.grad, self.chunk, None)
        clip_gradient(self.grad, MAX_NORM)
        self.optimizer.step(self.theta, self.grad, RATE)
        return loss

    def run(self, n_steps):
        with one_blas_thread():
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
    ours.objective.close()
    return (*(1e3 * times.min(axis=0)), difference)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument("--units", nargs="+", type=int, default=[32, 64, 128])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=7)
    add_json_option(parser)
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
                    job = f"{cell}, {n_units} units, batch {batch_size}, threads {n_threads}"
                    known, target = ("P6", ">= 1") if cell == "lstm" else ("P5", ">= 2")
                    found = {"against": "torch", "target": target, "seconds": ours / 1e3}
                    rows.append(row(known, job, theirs / ours, "x", **found))
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
