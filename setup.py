"""What pyproject.toml cannot say: published networks and records lie in data/, and travel inside the package."""

from setuptools import find_packages, setup

PUBLISHED = {"unet_paper.data.models": "data/models", "unet_paper.data.results": "data/results"}

setup(packages=[*find_packages(include=["unet_paper*"]), *PUBLISHED], package_dir=PUBLISHED)
