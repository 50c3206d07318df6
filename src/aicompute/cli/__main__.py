"""``python -m aicompute.cli``."""

from aicompute.cli import main

main()
