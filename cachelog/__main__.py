"""`python -m cachelog` is the command `cachelog`."""

from cachelog.cli.app import main

main()
