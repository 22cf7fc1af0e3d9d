"""Small tasks that several experiments share. All draw from a RandomState."""

from __future__ import annotations

import numpy as np

from echocast.datasets import mackey_glass

# ------------------------------------------------------------------------ bits


def coins(rng, n_sequences, n_steps):
    """Independent bits, and what a network reads of them, -1 or 1: (n, T) and (n, T, 1)."""
    bits = rng.randint(0, 2, size=(n_sequences, n_steps))
    return bits, (2.0 * bits - 1.0)[:, :, None]


def echo(rng, n_sequences, n_steps, lag):
    """Repeat what was read `lag` steps ago. The first `lag` labels are drawn: none can be known."""
    bits, X = coins(rng, n_sequences, n_steps)
    y = np.concatenate([rng.randint(0, 2, size=(n_sequences, lag)), bits[:, :-lag]], axis=1)
    return X, y


def parity(rng, n_sequences, n_steps):
    """Whether the number of ones so far is odd: X (n, T, 1) and labels (n, T)."""
    bits, X = coins(rng, n_sequences, n_steps)
    return X, bits.cumsum(axis=1) % 2


def bits_of(probabilities, labels):
    """Mean code length, in bits, of labels whose probabilities stand along the last axis."""
    p = np.take_along_axis(probabilities, labels[..., None], axis=-1)
    return float(-np.log2(np.maximum(p, 1e-300)).mean())


# ------------------------------------------------------------------- sentences

POSITIVE = ("happy", "glad", "cheerful", "merry")
NEGATIVE = ("sad", "gloomy", "sorry", "unhappy")
FILLERS = ("well", "so", "oh", "now", "look", "yes")
_COMMON = ("i", "am", "i'm", "not", ",")
VOCABULARY = tuple(sorted({*POSITIVE, *NEGATIVE, *FILLERS, *_COMMON}))


def sentence(negative, positive, *, negates_positive, negative_first, prefix=()):
    """'(i am) not sad, i'm happy' and its kin as a list of words; the bag of words is one."""
    clauses = [([] if negates_positive else ["not"]) + [negative],
               (["not"] if negates_positive else []) + [positive]]  # fmt: skip
    first, second = clauses if negative_first else clauses[::-1]
    return [*prefix, "i", "am", *first, ",", "i'm", *second]


def sentences(rng, n, fewest_fillers, most_fillers):
    """Random sentences as lists of words, and labels: 1 where the speaker is in good spirits.

    Order, words and fillers are independent of the label, which hangs on what `not` stands with.
    """
    texts, labels = [], rng.randint(0, 2, size=n)
    for label in labels:
        prefix = rng.choice(FILLERS, size=rng.randint(fewest_fillers, most_fillers + 1))
        texts.append(
            sentence(
                str(rng.choice(NEGATIVE)),
                str(rng.choice(POSITIVE)),
                negates_positive=label == 0,
                negative_first=bool(rng.randint(2)),
                prefix=[str(word) for word in prefix],
            )
        )
    return texts, labels


def one_hot(texts):
    """Each text as an array (n_words, n_vocabulary)."""
    number = {word: i for i, word in enumerate(VOCABULARY)}
    eye = np.eye(len(VOCABULARY))
    return [eye[[number[word] for word in text]] for text in texts]


# ---------------------------------------------------------------------- series


def noisy_mackey_glass(rng, n_steps, noise):
    """The Mackey-Glass series (tau 17, one unit a step) scaled to unit variance.

    Returns the series with and without noise of standard deviation `noise`, each (n_steps, 1).
    """
    skipped = rng.randint(0, 1000)
    clean = mackey_glass(skipped + n_steps, tau=17)[skipped:, None]
    clean = (clean - clean.mean()) / clean.std()
    return clean + noise * rng.standard_normal(clean.shape), clean


# --------------------------------------------------------------------- symbols

LETTERS, OPENING, CLOSING = "abcd", "([{", ")]}"
_DEEPEST, _MOVE = 3, 0.2


def _bracket_odds(depth):
    """Probabilities of opening, of closing and of a letter, at a depth."""
    opens, closes = _MOVE * (depth < _DEEPEST), _MOVE * (depth > 0)
    return opens, closes, 1 - opens - closes


def brackets(rng, n):
    """A text of letters and balanced brackets, and the bits that each character is worth.

    Up to three brackets are open at a time. One opens with probability 0.2, any of three kinds; the
    last one that is open closes with probability 0.2; else comes one of four letters.
    """
    text, bits, open_ones = [], np.empty(n), []
    for t in range(n):
        opens, closes, letter = _bracket_odds(len(open_ones))
        u = rng.random_sample()
        kind = rng.randint(12)  # in either third, or quarter, as often
        if u < opens:
            open_ones.append(kind % 3)
            text.append(OPENING[kind % 3])
            bits[t] = -np.log2(opens / 3)
        elif u < opens + closes:
            text.append(CLOSING[open_ones.pop()])
            bits[t] = -np.log2(closes)
        else:
            text.append(LETTERS[kind % 4])
            bits[t] = -np.log2(letter / 4)
    return "".join(text), bits


def bracket_entropy():
    """Bits per character of the bracket language in the long run, exactly.

    The depth is a symmetric walk that stays where it would leave 0 to 3, so all four depths are
    equally frequent.
    """
    found = []
    for depth in range(_DEEPEST + 1):
        opens, closes, letter = _bracket_odds(depth)
        terms = [(opens, 3), (closes, 1), (letter, 4)]  # shared out among so many
        found.append(sum(-p * np.log2(p / n) for p, n in terms if p > 0))
    return float(np.mean(found))


def symbol_source(rng, n, order, n_symbols):
    """Symbols that depend on the last `order`, and the bits that each is worth."""
    table = rng.dirichlet(np.full(n_symbols, 0.5), size=(n_symbols,) * order)
    ids, bits = list(rng.randint(n_symbols, size=order)), np.empty(n)
    for t in range(n):
        p = table[tuple(ids[t:])]
        ids.append(rng.choice(n_symbols, p=p))
        bits[t] = -np.log2(p[ids[-1]])
    return np.array(ids[order:]), bits


def announced(rng, n):
    """Words whose first symbol, a digit from 1 to 8, tells how many letters follow."""
    lengths = rng.randint(1, 9, size=n)
    return [f"{k}" + "".join(rng.choice(list("ab"), size=k)) for k in lengths]


def kept_words(words):
    """Share of the words that begin with a digit, and among those the share that keep to it."""
    kept = [len(word) - 1 == int(word[0]) for word in words if word[:1].isdigit()]
    return len(kept) / len(words), float(np.mean(kept))
