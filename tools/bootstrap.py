"""Set up the project, then run one of its jobs: `python3 tools/bootstrap.py report` (or test, check, lab, ...).

The standard library alone, in words that old Pythons can parse: whichever Python starts it, it finds one that fits,
makes `.venv` beside the project, installs the hash-locked set and the project itself, compiles bytecode and writes a
stamp last. While the stamp fits, later calls go straight to the job and touch no network. Without a stamp (an
interrupted set-up, a broken or moved environment) `.venv` is built anew; when only the lock or pyproject.toml changed,
it is brought up to date in place.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

VERSION = "1"  # raise it when an environment made by an older bootstrap.py must be rebuilt
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_BYTES = 2_000_000_000  # the environment with bytecode and the downloads beside it, rounded up
ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "report": "set up, bring in the demo company and run its monthly report",
    "test": "set up and run all tests",
    "check": "formatting, lint, types and params/",
    "lab": "open JupyterLab in the workspace",
    "serve": "show the reports and the pack in the browser",
    "bench": "run the benchmarks",
    "simulate": "run the statistical simulations in full size (long)",
    "env": "set up only",
}

# What an installer says when something outside the project is wrong, and what that means for the reader.
DISK_FULL = "The disk is full. Free some space (about 2 GB) and run the same command again."
TAMPERED = "A download differs from requirements.lock. Do not go on: ask who changed it."
NO_NETWORK = """\
The packages could not be fetched. The first set-up needs the network (or a pip configured for your own package index).
Connect and run the same command again; later calls need no network."""
DIAGNOSES = (
    (r"No space left on device|Errno 28", DISK_FULL),
    (r"DO NOT MATCH THE HASHES|Hash mismatch", TAMPERED),
    (r"NewConnection|name resolution|getaddrinfo|dns error|Network is unreachable|error sending request", NO_NETWORK),
    (r"No matching distribution|timed out|ProxyError|Failed to (establish|fetch)", NO_NETWORK),
)


class Stop(Exception):  # noqa: N818 - not an error of the program: what the reader has to mend
    """The set-up cannot go on; the text says why and what to do."""


def say(text: str = "") -> None:
    """Print at once, also where output is piped."""
    print(text, flush=True)


# ---------------------------------------------------------------------------------------------------------- Pythons


def probe(command: list) -> dict:
    """Ask an interpreter for its version, its base and whether it can make environments; {} where there is none."""
    code = (
        "import json, sys, importlib.util as u; print(json.dumps({'version': list(sys.version_info[:3]),"
        " 'venv': bool(u.find_spec('venv') and u.find_spec('ensurepip')), 'project': bool(u.find_spec('cxlib')),"
        " 'path': getattr(sys, '_base_executable', None) or sys.executable}))"
    )
    try:
        words = subprocess.check_output(
            [*command, "-c", code], stderr=subprocess.DEVNULL, env=clean_environment(), cwd=os.sep
        )
        return json.loads(words.decode())
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}


def fits(found: dict) -> bool:
    """Tell whether a probed interpreter has a version that the lock is made for."""
    return bool(found) and OLDEST <= tuple(found["version"][:2]) <= NEWEST


def candidates() -> list:
    """Return the commands that may start a fitting Python, the running one first."""
    versions = ["%d.%d" % (OLDEST[0], minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
    commands = [[sys.executable]]
    commands += [["python" + version] for version in versions]
    if shutil.which("py"):
        commands += [["py", "-" + version] for version in versions]
    return [*commands, ["python3"], ["python"]]


def choose_python(commands: list) -> dict:
    """Return the first fitting Python that can make environments, or say what is missing."""
    lacking = None
    for command in commands:
        found = probe(command)
        if fits(found) and found["venv"]:
            return found
        if fits(found) and lacking is None:
            lacking = found
    if lacking:
        version = "%d.%d" % tuple(lacking["version"][:2])
        raise Stop(
            f"Python {version} at {lacking['path']} has no `venv` module.\n"
            f"On Debian and Ubuntu: sudo apt install python3-venv   (or python{version}-venv)\n"
            "Then run the same command again."
        )
    here = "%d.%d.%d" % sys.version_info[:3]
    raise Stop(
        f"Python 3.11, 3.12 or 3.13 is needed; this is {here} at {sys.executable}, and no other was found.\n"
        "Install one (python.org, or `sudo apt install python3 python3-venv` on Debian 12 and Ubuntu 24.04) and run\n"
        "the same command again, or name it: make report PYTHON=/path/to/python3.11"
    )


def clean_environment(venv: Path = None) -> dict:  # noqa: RUF013 - old Pythons parse this file
    """Return the environment for children: nothing in it may lead them to another Python's packages."""
    stray = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
    stray += ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_SYSTEM_PYTHON", "UV_PYTHON", "CONDA_PREFIX")
    env = {name: value for name, value in os.environ.items() if name.upper() not in stray}
    env["PYTHONNOUSERSITE"] = "1"
    if venv:
        env["VIRTUAL_ENV"] = str(venv)
        env["PATH"] = str(scripts(venv)) + os.pathsep + env.get("PATH", os.defpath)
    return env


# ------------------------------------------------------------------------------------------------- the environment


def scripts(venv: Path) -> Path:
    """Return the folder of the environment's programs."""
    return venv / ("Scripts" if os.name == "nt" else "bin")


def program(venv: Path, name: str) -> str:
    """Return the path of one program of the environment."""
    return str(scripts(venv) / (name + ".exe" if os.name == "nt" else name))


def site_packages(venv: Path) -> Path:
    """Return the folder that packages are installed in."""
    found = sorted(venv.glob("Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"))
    return found[0] if found else venv


def packages(venv: Path) -> list:
    """Return what is importable there; versions are the lock's matter, so pip may upgrade itself."""
    names = (entry.name for entry in site_packages(venv).iterdir())
    return sorted(name for name in names if name != "__pycache__" and not name.endswith(".dist-info"))


def inputs(root: Path) -> str:
    """Return the hash of what the environment is made from."""
    parts = [(root / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def write_stamp(root: Path, venv: Path) -> None:
    """Say, last of all and at once, that the environment is whole."""
    found = probe([program(venv, "python")])
    if not found or not found["project"]:
        raise Stop(f"The environment was made, but its Python cannot find cxlib: remove {venv} and try again.")
    stamp = {"bootstrap": VERSION, "place": str(venv), "inputs": inputs(root), "python": found["version"]}
    stamp["packages"] = packages(venv)
    fresh = venv / "stamp.new"
    fresh.write_text(json.dumps(stamp), encoding="utf-8")
    os.replace(str(fresh), str(venv / "stamp.json"))


def condition(root: Path, venv: Path) -> tuple:
    """Return (`ready`, `update` or `rebuild`, why): what the environment needs before a job can run in it."""
    if not os.path.lexists(str(venv)):
        return "rebuild", "first set-up"
    try:
        stamp = json.loads((venv / "stamp.json").read_text(encoding="utf-8"))
        python, needed = stamp["python"], stamp["packages"]
    except (OSError, ValueError, KeyError, TypeError):
        return "rebuild", "an earlier set-up did not finish"
    if (stamp.get("bootstrap"), stamp.get("place")) != (VERSION, str(venv)):
        return "rebuild", "the folder was moved, or tools/bootstrap.py changed"
    found = probe([program(venv, "python")])
    if not found or found["version"][:2] != python[:2]:
        return "rebuild", "its Python is gone or was replaced"
    if not set(needed) <= set(packages(venv)) or not found["project"]:
        return "rebuild", "packages are missing from it"
    if stamp["inputs"] != inputs(root):
        return "update", "requirements.lock or pyproject.toml changed"
    return "ready", ""


@contextlib.contextmanager
def only_one(path: Path):
    """Hold the set-up lock, waiting while another process has it; yields the file for children to inherit.

    The operating system drops the lock with its last holder, so a file left behind by a killed process is harmless.
    Children inherit it: an installer that outlives a killed bootstrap.py keeps the next one waiting, not colliding.
    """
    with open(str(path), "a+", encoding="utf-8") as held:
        told = False
        while not try_lock(held):
            if not told:
                held.seek(0)
                say(f"Another set-up of this folder is running (process {held.read().strip() or '?'}); waiting for it.")
                told = True
            time.sleep(0.5)
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        yield held


def try_lock(held) -> bool:
    """Take the lock if nobody has it."""
    try:
        if os.name == "nt":
            import msvcrt

            held.seek(1 << 20)  # a byte beyond the text, so that the others can read who holds the lock
            msvcrt.locking(held.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(held.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # a file system without locks: go on
    return True


# ------------------------------------------------------------------------------------------------------- installing


def watch(command: list, log: Path, label: str, venv: Path, held) -> int:
    """Run an installer, its words into `log`, a line of progress for the reader; return its exit code."""
    started = shown = time.monotonic()
    width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 0
    keep = {} if os.name == "nt" else {"pass_fds": (held.fileno(),)}
    with open(str(log), "ab") as out:
        child = subprocess.Popen(command, cwd=str(ROOT), env=clean_environment(venv), stdout=out, stderr=out, **keep)
    with stopped_with_us(child):
        while child.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - shown > (0.5 if width else 10):
                shown = time.monotonic()
                line = f"      {shown - started:4.0f} s  {label}: {status(log, venv)}"
                print("\r" + line[:width].ljust(width) if width else line, end="" if width else "\n", flush=True)
    if width:
        print("\r" + " " * width + "\r", end="", flush=True)
    return child.returncode


def status(log: Path, venv: Path) -> str:
    """Return how far an installer has come: how many packages stand, and what it says last."""
    words = re.findall(r"(?m)^ *((?:Collecting|Downloading|Building) .*)", log.read_text("utf-8", "replace"))
    done = len(list(site_packages(venv).glob("*.dist-info")))
    return f"{done} packages in place; {words[-1].split(' (')[0][:60] if words else 'starting'}"


@contextlib.contextmanager
def stopped_with_us(child):
    """Whatever ends us ends the child too; an interrupt it has received itself, so it gets time to finish."""
    try:
        yield child
    except BaseException as reason:
        try:
            child.wait(10 if isinstance(reason, KeyboardInterrupt) else 0)
        except subprocess.TimeoutExpired:
            child.terminate()
            child.wait()
        raise


def install(venv: Path, arguments: list, label: str, held) -> None:
    """Install with uv where it is on the PATH, else (or where it fails) with the environment's own pip."""
    python, log = program(venv, "python"), venv / "install.log"
    uv = shutil.which("uv")
    if uv:
        if watch([uv, "pip", "install", "--python", python, *arguments], log, label + " (uv)", venv, held) == 0:
            return
        say("      uv could not; trying pip")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    if watch([*pip, "--progress-bar", "off", *arguments], log, label + " (pip)", venv, held) == 0:
        return
    text = log.read_text(encoding="utf-8", errors="replace")
    tail = "\n".join("    " + line for line in text.strip().splitlines()[-8:])
    advice = [words for pattern, words in DIAGNOSES if re.search(pattern, text)]
    advice.append(f"All of it is in {log}")
    raise Stop(f"{label} failed. The installer said:\n{tail}\n\n{advice[0]}")


def make_venv(python: dict, venv: Path) -> None:
    """Make an empty environment, taking away whatever stood in its place."""
    if venv.is_symlink():
        raise Stop(f"{venv} is a link. Remove it and run the same command again.")
    shutil.rmtree(str(venv), ignore_errors=not venv.exists())
    command = [python["path"], "-m", "venv", str(venv)]
    done = subprocess.run(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Stop(f"Python could not make {venv}:\n{done.stdout.decode(errors='replace').strip()}")


def install_lock(venv: Path, held) -> None:
    """Install exactly what the lock names, each file checked by its hash."""
    lock = str(ROOT / "requirements.lock")
    install(venv, ["--no-deps", "--require-hashes", "-r", lock], "installing", held)


def install_project(venv: Path, held) -> None:
    """Install the project itself, editable: no dependencies, no isolation, hence no network."""
    install(venv, ["--no-deps", "--no-build-isolation", "-e", str(ROOT)], "installing the project", held)
    # Python 3.11 reads .pth files in the locale's encoding: a path with accents breaks under another locale. A
    # relative one is plain ASCII.
    place = site_packages(venv)
    (place / "_cxlib.pth").write_text(os.path.relpath(str(ROOT), str(place)) + "\n", encoding="ascii")


def compile_bytecode(venv: Path) -> None:
    """Compile everything once, in parallel: without it the first imports take three times as long."""
    command = [program(venv, "python"), "-m", "compileall", "-q", "-j", "0", "-x", r"[\\/]tests[\\/]"]
    command += [str(site_packages(venv)), str(ROOT / "cxlib")]
    subprocess.run(command, env=clean_environment(venv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def set_up(venv: Path, fresh: bool = False) -> None:
    """Bring the environment into the state that the lock describes, if it is not in it already."""
    if not fresh and condition(ROOT, venv)[0] == "ready":
        say(f"Environment: {venv} (ready)")
        return
    with only_one(ROOT / ".venv.lock") as held:
        state, why = ("rebuild", "asked for") if fresh else condition(ROOT, venv)
        if state == "ready":
            say(f"Environment: {venv} (ready, made by the other set-up)")
            return
        build(venv, state, why, held)


def build(venv: Path, state: str, why: str, held) -> None:
    """Make or update the environment, step by step, and stamp it."""
    started = time.monotonic()
    say(f"Setting up {venv}: {why}.")
    steps = [
        ("Installing the packages of requirements.lock", lambda: install_lock(venv, held)),
        ("Installing the project itself", lambda: install_project(venv, held)),
        ("Compiling bytecode", lambda: compile_bytecode(venv)),
        ("Checking and stamping", lambda: write_stamp(ROOT, venv)),
    ]
    if state == "rebuild":
        python = choose_python(candidates())
        name = "%d.%d.%d" % tuple(python["version"])
        first = f"Making an environment with Python {name} ({python['path']})"
        steps.insert(0, (first, lambda: make_venv(python, venv)))
        free = shutil.disk_usage(str(ROOT)).free
        if free < NEEDED_BYTES:
            raise Stop(f"Only {free / 1e9:.1f} GB are free on this disk; the set-up needs {NEEDED_BYTES / 1e9:.0f} GB.")
    else:
        (venv / "stamp.json").unlink()
    for number, (text, work) in enumerate(steps, 1):
        begun = time.monotonic()
        say(f"[{number}/{len(steps)}] {text}")
        work()
        say(f"      done in {time.monotonic() - begun:.1f} s")
    say(f"Set-up finished in {time.monotonic() - started:.0f} s.\n")


# -------------------------------------------------------------------------------------------------------------- jobs


def job(command: str, venv: Path, extra: list) -> list:
    """Return the programs that a job runs, one after the other."""
    cx, run_module = program(venv, "cx"), [program(venv, "python"), "-m"]
    pytest, ruff = [*run_module, "pytest"], [*run_module, "ruff"]
    return {
        "report": [[cx, "demo"], [cx, "run", "monthly", *extra]],
        "test": [[*pytest, "-n", "auto", "--dist", "worksteal", *extra]],
        "check": [[*ruff, "format", "--check"], [*ruff, "check"], [*run_module, "mypy"], [cx, "check"]],
        "lab": [[cx, "lab", *extra]],
        "serve": [[cx, "serve", *extra]],
        "bench": [[*pytest, "benchmarks", "-q", "-s", *extra]],
        "simulate": [[*pytest, "-n", "auto", "-m", "simulation", *extra]],
        "env": [],
    }[command]


def run_job(command: str, venv: Path, extra: list) -> int:
    """Run a job's programs in the project's folder; `check` runs them all, the others stop at the first failure."""
    env = clean_environment(venv)
    if command == "simulate":
        env["CX_SIMULATIONS"] = "full"
    code = 0
    for arguments in job(command, venv, extra):
        say("> " + " ".join([Path(arguments[0]).name, *arguments[1:]]))
        with stopped_with_us(subprocess.Popen(arguments, cwd=str(ROOT), env=env)) as child:
            code = child.wait() or code
        if code and command != "check":
            break
    return code


def ending(command: str, code: int, venv: Path, since: float) -> str:
    """Return the last words of a job: what to open, or what to do."""
    if code:
        return f"{command}: failed (exit code {code}); the reason stands above."
    if command == "env":
        return f"Ready. Programs: {scripts(venv)}"
    # The page this call has made; where it stood already, that of the latest period.
    pages = sorted(ROOT.glob("reports/monthly/*/index.html"), key=lambda page: (page.stat().st_mtime >= since, page))
    seen = f"Open in a browser: {pages[-1]}" if pages else "Next: make report, then open the page it names."
    return {"report": seen, "test": "All tests passed. " + seen, "check": "All checks passed."}.get(command, "")


def main(words: list) -> int:
    """Set up, run one job, say what to open; return the exit code."""
    if not words or words[0] not in COMMANDS:
        say("make COMMAND, or python3 tools/bootstrap.py COMMAND, or on Windows py -3.11 tools/bootstrap.py COMMAND\n")
        say("\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items()))
        return 0 if words and words[0] in ("-h", "--help", "help") else 2
    command, extra = words[0], words[1:]
    started = time.time()
    venv = ROOT / ".venv"
    set_up(venv, fresh=command == "env" and extra == ["--fresh"])
    code = run_job(command, venv, extra)
    say(f"\n{ending(command, code, venv, started)}\n({time.time() - started:.1f} s in all)")
    return code if code >= 0 else 128 - code


def guarded(words: list) -> int:
    """Turn whatever stops the set-up into plain words; return the exit code."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a path may hold letters that the terminal has not
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return main(words)
    except Stop as stop:
        say(f"\n{stop}")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. Run the same command again to go on.")
        return 130
    except BrokenPipeError:  # whoever read our words has gone, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:
        full = error.errno == errno.ENOSPC
        say(f"\n{DISK_FULL if full else f'The set-up could not go on: {error}'}")
        return 1


if __name__ == "__main__":
    sys.exit(guarded(sys.argv[1:]))
