"""``echocast verify``: what the package promises, measured on the machine it runs on."""

from ._report import run_verify

__all__ = ["run_verify"]
