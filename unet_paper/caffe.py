"""Stub."""


def load_caffemodel(path):
    raise NotImplementedError
