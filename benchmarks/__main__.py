"""`python -m benchmarks`: all benchmarks one after the other, as one JSON document on standard output."""

import json

from benchmarks import augmentation, metrics, network, weightmap

ROOMS = {"weight map": weightmap, "augmentation": augmentation, "network": network, "metrics": metrics}

if __name__ == "__main__":
    print(json.dumps({name: room.measure() for name, room in ROOMS.items()}, indent=2))
