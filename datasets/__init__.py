"""Generators of chaotic systems and reservoir tasks, and small real series."""

if not __name__.startswith("echocast."):
    raise ImportError(
        "`datasets` is `echocast.datasets`; the checkout root should not be on sys.path"
    )
