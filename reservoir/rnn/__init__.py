"""Recurrent networks whose weights are all trained: layers, losses, optimisers, estimators."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`reservoir.rnn` is `echocast.reservoir.rnn`; the checkout root should not be on sys.path"
    )
