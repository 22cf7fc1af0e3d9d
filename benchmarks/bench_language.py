"""`CharRNN` beside Markov chains on English text and on names: nats for each character.

Run with ``python benchmarks/bench_language.py --data FOLDER`` (four minutes of CPU time);
``--quick`` trains for two epochs. FOLDER holds

- ``tinyshakespeare_train90.txt.gz``, the text of karpathy/char-rnn: the last tenth of the
  characters is held out, and read in one go with the state carried through;
- ``names_train90.txt.gz``, first names of karpathy/makemore, one a line: every tenth one is held
  out. An end counts as a character.

Texts that are not there are left out. Nothing is learnt from what is held out, and the settings
are those below for any seed.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np

from echocast.reservoir import CharRNN, MarkovChain

SHAKESPEARE = {"hidden_layer_sizes": 256, "embedding_size": 64, "dropout": 0.2,
               "learning_rate_init": 6e-3, "max_iter": 8}  # fmt: skip
NAMES = {"hidden_layer_sizes": 128, "embedding_size": 24, "dropout": 0.3,
         "learning_rate_init": 5e-3, "max_iter": 10, "end_of_sequence": "symbol"}  # fmt: skip


def read(path):
    """The text of a compressed file, or None."""
    return gzip.open(path, "rt", encoding="utf-8").read() if path.exists() else None


def nats(model, X):
    """What a character of X costs."""
    return model.score(X) * np.log(2)


def trained(train, args, settings, vocabulary=None):
    """A network, and the CPU time that its training took, in all threads."""
    if args.quick:
        settings = {**settings, "max_iter": 2}
    rnn = CharRNN(**settings, vocabulary=vocabulary, n_jobs=args.jobs, random_state=args.seed)
    CharRNN(hidden_layer_sizes=8, max_iter=1).fit("compile it " * 50)
    start = time.process_time()
    rnn.fit(train)
    return rnn, time.process_time() - start


def shakespeare(text, args):
    """Nats per character of the last tenth."""
    cut = len(text) - len(text) // 10
    train, test = text[:cut], text[cut:]
    symbols = sorted(set(text))
    print(f"Shakespeare, {len(train)} characters to learn from, {len(test)} held out", flush=True)
    for order in (3, 4, 5):
        chain = MarkovChain(order, vocabulary=symbols).fit(train)
        print(f"  Markov chain of order {order}: {nats(chain, test):.4f}", flush=True)
    rnn, seconds = trained(train, args, SHAKESPEARE, symbols)
    print(f"  CharRNN: {nats(rnn, test):.4f} ({nats(rnn, train[-len(test) :]):.4f} of what was "
          f"learnt from), {rnn.n_iter_} epochs, {rnn.t_} updates, {seconds:.0f} CPU s")  # fmt: skip
    print(rnn.sample(500, prime="\n\n", temperature=0.7, random_state=args.seed), flush=True)


def names(text, args):
    """Nats per character, ends included, of every tenth name."""
    lines = text.split()
    train = [name for i, name in enumerate(lines) if i % 10 != 9]
    test = lines[9::10]
    print(f"Names, {len(train)} to learn from, {len(test)} held out", flush=True)
    for order in (3, 4, 5):
        chain = MarkovChain(order).fit([name + "\n" for name in train])
        found = nats(chain, [name + "\n" for name in test])
        print(f"  Markov chain of order {order}: {found:.4f}", flush=True)
    rnn, seconds = trained(train, args, NAMES)
    print(f"  CharRNN: {nats(rnn, test):.4f} ({nats(rnn, train[: len(test)]):.4f} of what was "
          f"learnt from), {rnn.n_iter_} epochs, {rnn.t_} updates, {seconds:.0f} CPU s")  # fmt: skip
    known = set(lines)
    drawn = rnn.generate_until_end(500, random_state=args.seed)
    new = [name for name in drawn if name not in known]
    print(f"  {len(new)} of 500 drawn names are new: {', '.join(new[:12])}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=("names", "shakespeare"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    tasks = {"names": names, "shakespeare": shakespeare}
    for name, task in tasks.items():
        text = read(args.data / f"{'tiny' * (name == 'shakespeare')}{name}_train90.txt.gz")
        if text is not None and args.only in (None, name):
            task(text, args)


if __name__ == "__main__":
    main()
