"""Run the command line with ``python -m echocast``."""

from echocast._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
