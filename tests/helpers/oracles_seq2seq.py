"""Encoder, attention, decoder and beam as their formulas say, one sequence at a time."""

import numpy as np

from oracles_cells import gru, lstm, rnn


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def log_softmax(x):
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def look(kind, s, H, w):
    """The weighted mean of the rows of H, and the weights."""
    if kind == "additive":
        scores = np.array([w["v"] @ np.tanh(w["W"] @ s + w["U"] @ h) for h in H])
    else:
        scores = np.array([s @ w["U"] @ h for h in H])
        if kind == "scaled_dot":
            scores = scores / np.sqrt(len(s))
    alpha = softmax(scores)
    return alpha @ H, alpha


class Model:
    """A fitted encoder-decoder, read from its parameters by name."""

    def __init__(self, params, cell, n_layers, bidirectional, attention):
        self.p = {name: np.asarray(value, dtype=float) for name, value in params.items()}
        self.cell, self.n_layers = cell, n_layers
        self.bidirectional, self.attention = bidirectional, attention

    def _step(self, name, state, x):
        w = {k: self.p[name + k] for k in ("W_in", "W", "b", "b_n") if name + k in self.p}
        if self.cell in ("tanh", "relu"):
            f = np.tanh if self.cell == "tanh" else lambda z: np.maximum(z, 0)
            return rnn(w, state, x, f=f)
        return (gru if self.cell == "gru" else lstm)(w, state, x)

    def _run(self, name, xs):
        n = self.p[name + "W"].shape[1]
        state = np.zeros(2 * n if self.cell == "lstm" else n)
        states = []
        for x in xs:
            state = self._step(name, state, x)
            states.append(state[:n])
        return np.array(states)

    def encode(self, xs):
        """Last states of each layer, and all states of the last one."""
        level, first = np.asarray(xs, dtype=float), []
        for i in range(self.n_layers):
            h = self._run(f"encoder.{i}.", level)
            C = h[-1]
            if self.bidirectional:
                back = self._run(f"encoder.{i}.reverse.", level[::-1])[::-1]
                C = np.concatenate([C, back[0]])
                h = np.concatenate([h, back], axis=1)
            level = h
            first.append(np.tanh(self.p[f"bridge.{i}.W"] @ C + self.p[f"bridge.{i}.b"]))
        return first, C, level

    def begin(self, xs):
        first, C, H = self.encode(xs)
        return {"states": first, "C": C, "H": H}

    def write(self, at, inputs):
        """Outputs of one more step, where it leads, and what was looked at."""
        n = self.p[f"decoder.{self.n_layers - 1}.W"].shape[1]
        c, alpha = at["C"], None
        if self.attention is not None:
            w = {k: self.p[f"attention.{k}"] for k in "WUv" if f"attention.{k}" in self.p}
            c, alpha = look(self.attention, at["states"][-1][:n], at["H"], w)
        level, states = np.concatenate([inputs, c]), []
        for i in range(self.n_layers):
            states.append(self._step(f"decoder.{i}.", at["states"][i], level))
            level = states[-1][: self.p[f"decoder.{i}.W"].shape[1]]
        # The readout sees [s, c, y, u].
        o = self.p["out.W"] @ np.concatenate([level, c, inputs]) + self.p["out.b"]
        return o, {**at, "states": states}, alpha


class Symbols(Model):
    """Of symbols, by their numbers."""

    def begin(self, ids):
        return super().begin(self.p["embedding.W"][ids])

    @property
    def end(self):
        return len(self.p["decoder.embedding.W"]) - 1

    def next(self, at, before):
        o, at, alpha = self.write(at, self.p["decoder.embedding.W"][before])
        return log_softmax(o), at, alpha

    def log_likelihood(self, ids, written):
        at, before, total = self.begin(ids), self.end, 0.0
        for symbol in [*written, self.end]:
            logs, at, _ = self.next(at, before)
            total, before = total + logs[symbol], symbol
        return total

    def beam(self, ids, width, most):
        """(worth, symbols) of all sequences that a beam ends with."""
        lanes, found = [(0.0, [], self.begin(ids))], []
        for _ in range(most):
            more = []
            for total, written, at in lanes:
                logs, after, _ = self.next(at, written[-1] if written else self.end)
                more += [(total + logs[k], [*written, k], after) for k in range(len(logs))]
            more.sort(key=lambda one: -one[0])
            kept = more[: width - len(found)]
            found += [(t / len(w), w[:-1]) for t, w, _ in kept if w[-1] == self.end]
            lanes = [one for one in kept if one[1][-1] != self.end]
            if not lanes:
                break
        return found + [(t / len(w), w) for t, w, _ in lanes]
