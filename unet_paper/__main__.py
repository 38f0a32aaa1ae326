"""`python -m unet_paper`: the command line of `unet_paper.cli`."""

import sys

from unet_paper.cli import main

if __name__ == "__main__":
    sys.exit(main())
