"""`python -m store` is the command line `trade-history`."""

from store.cli import main

main()
