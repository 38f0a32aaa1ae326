"""`python -m unet_paper fetch NAME`: download one data set."""
# (placeholder until the datasets room is built)


def add_parser(subparsers) -> None:
    """Register the command."""
    subparsers.add_parser("fetch", help="download one data set")
