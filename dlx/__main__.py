"""``python -m dlx``."""

from dlx.cli.app import main

main()
