"""`python -m unet_paper`: the command line of `unet_paper.cli`."""

import sys

from unet_paper.cli import main

if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no command
    sys.exit(main())
