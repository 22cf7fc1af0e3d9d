"""Figures of symbols, attention, depth, trees, and explicit memory."""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np
from _figures_experiments import NARROW, WIDE, experiment
from make_figures import BLACK, BLUE, GREEN, RED, plt
from sklearn.linear_model import LogisticRegression

from echocast.datasets import copy_task, logic_expressions
from echocast.reservoir import (
    AdaptiveComputationRNN,
    CharRNN,
    MarkovChain,
    NeuralTuringMachine,
    RecursiveClassifier,
    RNNClassifier,
)

language = experiment("exp_15_stacked_language")
recursive = experiment("exp_17_recursive")
reversal = experiment("reversal")
tasks = experiment("tasks")


def characters():
    """Bits per character of the bracket language, by chains of each order and a network."""
    rng = np.random.RandomState(0)
    train, _ = tasks.brackets(rng, 200_000)
    test, _ = tasks.brackets(rng, 20_000)
    rnn = CharRNN(
        hidden_layer_sizes=48,
        embedding_size=10,
        learning_rate_init=1e-2,
        max_iter=12,
        random_state=0,
    ).fit(train)
    orders = range(7)
    bits = [MarkovChain(k).fit(train).score(test) for k in orders]
    figure, ax = plt.subplots(figsize=NARROW)
    ax.plot(orders, bits, "o-", color=RED, ms=4, lw=1.3, label="Markov chain")
    ax.axhline(rnn.score(test), color=BLUE, lw=1.5, ls="--", label="LSTM, 48 units")
    ax.axhline(tasks.bracket_entropy(), color=BLACK, lw=1, label="entropy of the language")
    ax.set(xlabel="order of the chain", ylabel="bits per character")
    ax.legend()
    return figure


def markov():
    """Bits of held-out symbols by the order of the chain."""
    ids, bits = tasks.symbol_source(np.random.RandomState(0), 30_000, 3, 4)
    train, test = ids[:20_000], ids[20_000:]
    orders = range(8)
    found = [MarkovChain(k).fit(train).score(test) for k in orders]
    figure, ax = plt.subplots(figsize=NARROW)
    ax.plot(orders, found, "o-", color=BLUE, ms=4, lw=1.3, label="Markov chain")
    ax.axhline(bits[20_000:].mean(), color=BLACK, lw=1, label="the source itself")
    ax.set(xlabel="order of the chain", ylabel="bits per symbol")
    ax.legend()
    return figure


def ends():
    """The probability that a word ends here, for three words that announce their length."""
    words = tasks.announced(np.random.RandomState(0), 6400)
    rnn = CharRNN(
        hidden_layer_sizes=32,
        cell="gru",
        embedding_size=12,
        end_of_sequence="symbol",
        batch_size=64,
        learning_rate_init=3e-2,
        max_iter=8,
        random_state=0,
    ).fit(words)
    figure, ax = plt.subplots(figsize=WIDE)
    for n, colour, style in ((2, GREEN, "s:"), (5, BLUE, "o-"), (8, RED, "x--")):
        p = rnn.predict_proba(str(n) + ("ab" * 4)[:n])[-n - 1 :, -1]
        ax.plot(range(n + 1), p, style, color=colour, ms=5, lw=1.2, label=f"begins with {n}")
    ax.set(xlabel="letters written after the digit", ylabel="probability of the end")
    ax.set_ylim(-0.05, 1.05)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def reversing():
    """Right digits by length: one vector for all, or attention."""
    figure, ax = plt.subplots(figsize=NARROW)
    lengths = (1, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40)
    for attention, label, colour, style in (
        ("additive", "attention", BLUE, "o-"),
        (None, "one vector", RED, "x--"),
    ):
        model, rng = reversal.trained(attention, 0), np.random.RandomState(1000)
        shares = [model.token_accuracy(*reversal.sequences(rng, 200, n, n)) for n in lengths]
        ax.plot(lengths, shares, style, color=colour, ms=4, lw=1.3, label=label)
    ax.axvspan(0, 20, color="#eeeeee", lw=0)
    ax.text(1, 0.03, "lengths of training", fontsize=8)
    ax.axhline(0.1, color=BLACK, lw=0.8, ls=":")
    ax.text(23, 0.08, "chance", fontsize=8, va="top")
    ax.set(xlabel="digits to write backwards", ylabel="share of right digits")
    ax.set(xlim=(0, 41), ylim=(0, 1.05))
    ax.legend(loc="upper right")
    return figure


def stacked():
    """Training losses of one layer and of two, and the bits of a part that was held out."""
    text = "\n".join(topics[name] for name in sorted(topics))[: language.N_CHARACTERS]
    cut = len(text) - len(text) // 10
    figure, ax = plt.subplots(figsize=WIDE)
    for sizes, colour, style in (((64,), GREEN, ":"), ((96,), RED, "--"), ((64, 64), BLUE, "-")):
        rnn = CharRNN(
            hidden_layer_sizes=sizes,
            vocabulary=sorted(set(text)),
            learning_rate_init=5e-3,
            max_iter=45,
            random_state=0,
        ).fit(text[:cut])
        bits = np.array(rnn.loss_curve_) / np.log(2)
        name, new = " + ".join(map(str, sizes)), rnn.score(text[cut:])
        label = f"{name} units\n{rnn.theta_.size:,} parameters\n{new:.2f} bits held out"
        ax.plot(np.arange(1, 46), bits, color=colour, ls=style, lw=1.3, label=label)
    ax.set(xlabel=f"pass over {cut:,} characters", ylabel="bits per character in training")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), labelspacing=1)
    return figure


def depths():
    """Accuracy on expressions that are deeper than those of training."""
    X, y = logic_expressions(6400, (1, 4), random_state=0)
    model = RecursiveClassifier(
        n_units=16, embedding_size=16, learning_rate_init=1e-2, max_iter=3, random_state=0
    ).fit(X, y)
    bag = LogisticRegression().fit(recursive.bags(X), y)
    levels, found = range(1, 11), []
    for depth in levels:
        X, y = logic_expressions(300, depth, random_state=100 + depth)
        found.append((model.score(X, y), bag.score(recursive.bags(X), y)))
    figure, ax = plt.subplots(figsize=NARROW)
    ax.axvspan(0.6, 4.4, color="#eeeeee", lw=0)
    ax.text(2.5, 0.42, "trained on", fontsize=8, ha="center")
    for name, values, colour, style in zip(
        ("recursive network", "bag of tokens"), zip(*found), (BLUE, RED), ("o-", "x--")
    ):
        ax.plot(levels, values, style, color=colour, ms=4, lw=1.3, label=name)
    ax.set(xlabel="depth of the expression", ylabel="accuracy", ylim=(0.4, 1.05))
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.72))
    return figure


def copying():
    """Wrong bits by the number of rows to copy: a memory, and a state."""
    X, y, weights = copy_task(12000, (1, 5), n_bits=3, random_state=0)
    machine = NeuralTuringMachine(memory_shape=(24, 8), max_iter=1, random_state=0)
    machine.fit(X, y, sample_weight=weights)
    bits = 2 ** np.arange(3)
    lstm = RNNClassifier(
        hidden_layer_sizes=64,
        cell="lstm",
        output="sequence",
        batch_size=16,
        learning_rate_init=3e-3,
        max_iter=10,
        random_state=0,
    ).fit(X, [(rows @ bits).astype(int) for rows in y], sample_weight=weights)
    lengths, found = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20), []
    for n in lengths:
        X, y, weights = copy_task(200, n, n_bits=3, random_state=n)
        said = np.concatenate(lstm.predict(X))[:, None] & bits
        wrong = ((said > 0) != (np.concatenate(y) > 0.5))[np.concatenate(weights) > 0]
        found.append((1 - machine.score(X, y, weights), wrong.mean()))
    figure, ax = plt.subplots(figsize=NARROW)
    ax.axvspan(0.5, 5.3, color="#eeeeee", lw=0)
    ax.text(2.9, 0.42, "trained on", fontsize=8, ha="center")
    names = ("memory of 24 slots", "LSTM, ten times the updates")
    for name, values, colour, style in zip(names, zip(*found), (BLUE, RED), ("o-", "x--")):
        ax.plot(lengths, values, style, color=colour, ms=4, lw=1.3, label=name)
    ax.set(xlabel="rows to copy", ylabel="share of wrong bits", ylim=(-0.02, 0.52))
    ax.set(xlim=(0.5, 20.5), xticks=range(2, 21, 3))
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.62))
    return figure


def pondering():
    """Accuracy and runs of the cell by the price of a run, on a small parity task."""
    rng = np.random.RandomState(0)
    signs = rng.choice([-1.0, 1.0], size=(6000, 1, 5))
    odd = (signs > 0).sum(axis=2) % 2
    prices = 10.0 ** np.linspace(-3, 0, 7)
    found = []
    for price in prices:
        model = AdaptiveComputationRNN(
            n_units=24,
            max_ponder=6,
            ponder_cost=price,
            learning_rate_init=1e-2,
            max_iter=6,
            random_state=0,
        ).fit(signs, odd)
        found.append((model.ponder(signs).mean(), model.score(signs, odd)))
    figure, axes = plt.subplots(1, 2, figsize=WIDE)
    names = ("mean runs of the cell", "accuracy")
    for ax, values, name, limits in zip(axes, zip(*found), names, ((0, 6.2), (0.45, 1.05))):
        ax.semilogx(prices, values, "o-", color=BLUE, ms=4)
        ax.set(xlabel="price of a run (ponder_cost)", ylabel=name, ylim=limits)
    return figure


def attention_map():
    """Where the network of the figure above looks while it writes twelve digits backwards."""
    model = reversal.trained("additive", 0)
    X, _ = reversal.sequences(np.random.RandomState(5), 1, 12, 12)
    outputs, alphas = model.predict(X, return_attention=True)
    figure, ax = plt.subplots(figsize=(3.6, 3.1))
    picture = ax.imshow(alphas[0], cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(12), X[0])
    ax.set_yticks(range(len(outputs[0])), outputs[0])
    ax.set(xlabel="digits read", ylabel="digits written")
    ax.grid(False)
    figure.colorbar(picture, label="weight")
    return figure


FIGURES = {
    "02-characters": characters,
    "10-markov": markov,
    "11-ends": ends,
    "13-reversing": reversing,
    "15-stacked": stacked,
    "17-depths": depths,
    "22-copying": copying,
    "23-pondering": pondering,
    "24-attention-map": attention_map,
}
