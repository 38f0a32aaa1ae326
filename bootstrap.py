"""Make the project's own Python environment in `.venv`: `python3 bootstrap.py` (the Makefile calls it).

With `--here` the same set goes into the environment that runs this file (conda, Binder).

Every file is compared with its hash in requirements.lock, and nothing else is taken. PyTorch alone is pinned by version
(torch.txt): which of its files is the right one depends on the index that the reader names.

Needs nothing but a Python with `venv`; the file is plain enough for an old Python to read it and to say so.

Environment variables
---------------------
VENV : name of another folder than `.venv`.
TORCH_INDEX : address of another index to take PyTorch from (a CPU-only or a particular CUDA build).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SUPPORTED = ((3, 11), (3, 12))
OFFLINE_SIGNS = ("NewConnectionError", "Name or service not known", "Temporary failure in name resolution",
                 "Failed to resolve", "Network is unreachable", "ConnectTimeoutError", "No route to host")  # fmt: skip


def main():
    """Find a suitable Python, make the environment, install the pinned set."""
    python = suitable_python()
    if python is None:
        have = ".".join(map(str, sys.version_info[:3]))
        fail(
            "this project needs Python 3.11 or 3.12; this one is " + have + " and no other is on the path.\n"
            "Install one (python.org, your package manager or conda) and run: make PYTHON=/path/to/python3.12 book"
        )
    if "--here" in sys.argv:
        install_all(sys.executable)
    else:
        target = ROOT / os.environ.get("VENV", ".venv")
        print("Making the environment in %s with %s ..." % (target.name, python), flush=True)  # noqa: UP031
        advice = "the module venv failed; on Debian: apt install python3-venv"
        run([python, "-m", "venv", "--clear", str(target)], advice)
        install_all(str(target / "bin" / "python"))
    print("The environment is ready.", flush=True)


def install_all(python):
    """Install the lock, PyTorch with what its build needs besides, and this project; see that they fit together."""
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    install([*pip, "install", "--no-deps", "--require-hashes", "--requirement", str(ROOT / "requirements.lock")])
    index = os.environ.get("TORCH_INDEX")
    install([*pip, "install", *(["--index-url", index] if index else []), "--requirement", str(ROOT / "torch.txt")])
    install([*pip, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    run([*pip, "check"], "the installed packages do not fit together; the lines above say which")


def suitable_python():
    """Return the path of a supported Python, this one first, or None."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for name in ("python3.12", "python3.11"):
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return path
    return None


def run(command, advice):
    """Run a command that prints for itself; stop with `advice` if it fails."""
    if subprocess.call(command) != 0:
        fail(advice)


def install(command):
    """Run pip, show its output, and say plainly when the network is the reason that it failed."""
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout:
            said.append(line)
            if not line.startswith(("Requirement already", "Ignoring ", "  Downloading", "Using cached")):
                print(line, end="", flush=True)
    if pip.returncode == 0:
        return
    if any(sign in line for line in said for sign in OFFLINE_SIGNS):
        fail("the package index cannot be reached. Check the network (or the proxy: pip config list), then try again.")
    fail("pip could not install the pinned packages; its message stands above.")


def fail(message):
    """Print one message and end with status 1."""
    print("\nerror: " + message, file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
