"""Lets `python -m milepost.cli` stand for the command where its script is not on the path."""

from milepost.cli.main import main

main()
