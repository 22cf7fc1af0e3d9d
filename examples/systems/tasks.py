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
