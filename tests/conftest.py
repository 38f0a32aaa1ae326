"""Every test computes on one thread and may take its time: two workers, or a busy machine, then only cost time."""

from __future__ import annotations

import os

import hypothesis
from execution import THREADS

os.environ.update(THREADS | os.environ)  # before PyTorch loads, here and in every process that a test starts

hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
