"""The house stays as drawn: who imports whom, what pure rooms may touch, how large a room may grow.

The rules are those of the agreed architecture. Each checker is also shown a planted violation, so that a checker that
sees nothing fails too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A room may import rooms of a lower rank, and its own. `data` stands beside `measure`; see ABOVE.
RANKS = {
    "errors": 0,
    **dict.fromkeys(("results", "contract", "expressions", "periods", "params"), 1),
    **dict.fromkeys(("measure", "data"), 2),
    "analysis": 3,
    "show": 4,
    "reports": 5,
    "cli": 6,
}
# Rooms that only these others may import, whatever the rank.
ABOVE = {"data": {"reports", "cli"}}
PURE = ("measure", "analysis")
# Modules that a pure room has no use for: files, databases, the clock, the environment, threads, the network.
IMPURE_MODULES = {
    *("os", "pathlib", "io", "shutil", "tempfile", "glob", "fileinput", "subprocess", "socket", "urllib", "requests"),
    *("time", "random", "secrets", "uuid", "threading", "multiprocessing", "duckdb", "deltalake", "sqlite3", "pyarrow"),
}
IMPURE_CALLS = {"open", "input", "print"}
# Attributes whose call reads the clock, wherever the name comes from.
CLOCK = {"now", "today", "utcnow"}
# What of numpy.random carries no global state.
SEEDED = {"Generator", "default_rng", "SeedSequence", "BitGenerator", "PCG64"}
DRAWING = {"matplotlib", "seaborn"}
LONGEST_MODULE = 400
LONGEST_BODY = 30

Fault = str
Checker = Callable[[Path], list[Fault]]


def modules(root: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Yield every module below `root`/cxlib: its path, its dotted name, its tree."""
    for path in sorted((root / "cxlib").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield path, name, parsed(path.read_text(encoding="utf-8"), str(path))


@cache
def parsed(text: str, name: str) -> ast.Module:
    """Return the tree of a module, parsed once for all rules."""
    return ast.parse(text, filename=name)


def room(name: str) -> str:
    """Return the room of a module: `cxlib.measure.plans` lies in `measure`, the package itself in ``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(path: Path, name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of everything a module imports, at whatever depth, relative imports resolved."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def arrows_back(root: Path) -> list[Fault]:
    """Imports that run against the order of the rooms."""
    faults = []
    for path, name, tree in modules(root):
        here = room(name)
        if here and here not in RANKS:
            faults.append(f"{path}: a room '{here}' that the architecture does not know")
            continue
        for line, target in imports(path, name, tree) if here else ():
            there = room(target) if target.split(".")[0] == "cxlib" else ""
            if not there or there == here or there not in RANKS:
                continue
            if RANKS[there] >= RANKS[here] and not (RANKS[there] == RANKS[here] == 1):
                faults.append(f"{path}:{line}: {here} imports {there}")
            elif there in ABOVE and here not in ABOVE[there]:
                faults.append(f"{path}:{line}: {here} imports {there}; only {sorted(ABOVE[there])} may")
    return faults


def impurities(root: Path) -> list[Fault]:
    """Files, databases, clocks, environments and global randomness in the rooms that compute."""
    faults = []
    for path, name, tree in modules(root):
        if room(name) not in PURE:
            continue
        for line, target in imports(path, name, tree):
            if target.split(".")[0] in IMPURE_MODULES:
                faults.append(f"{path}:{line}: imports {target}")
        faults += [f"{path}:{node.lineno}: {what}" for node in ast.walk(tree) if (what := impure_call(node))]
    return faults


def impure_call(node: ast.AST) -> str:
    """Say what is impure about a call; empty where nothing is."""
    if not isinstance(node, ast.Call):
        return ""
    words = ast.unparse(node.func).split(".")
    if words[-1] in CLOCK and len(words) > 1:
        return f"reads the clock: {'.'.join(words)}()"
    if len(words) == 1 and words[0] in IMPURE_CALLS:
        return f"calls {words[0]}()"
    if "random" in words[:-1] and words[0] in ("np", "numpy", "random", "scipy") and words[-1] not in SEEDED:
        return f"uses global random state: {'.'.join(words)}()"
    if words[-1] == "default_rng" and not node.args and not node.keywords:
        return "default_rng() without a seed"
    if words[-1] == "seed" and "random" in words:
        return "seeds the global random state"
    return ""


def drawing_outside_show(root: Path) -> list[Fault]:
    """Plotting libraries imported anywhere but in `show/`."""
    return [
        f"{path}:{line}: imports {target}"
        for path, name, tree in modules(root)
        if room(name) != "show"
        for line, target in imports(path, name, tree)
        if target.split(".")[0] in DRAWING
    ]


def too_large(root: Path) -> list[Fault]:
    """Modules and function bodies beyond the wall (a docstring is not counted in the body)."""
    faults = []
    for path, _, tree in modules(root):
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > LONGEST_MODULE:
            faults.append(f"{path}: {length} lines; at most {LONGEST_MODULE}, make it a package")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > LONGEST_BODY:
                faults.append(f"{path}:{node.lineno}: {node.name}: {body_lines(node)} lines; at most {LONGEST_BODY}")
    return faults


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def undocumented(root: Path) -> list[Fault]:
    """Public functions, methods and classes without a docstring."""
    faults = []
    for path, _, tree in modules(root):
        if not ast.get_docstring(tree) and tree.body:
            faults.append(f"{path}: module without docstring")
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for owner in (tree, *classes):
            for node in owner.body:
                named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                if named and not node.name.startswith("_") and not ast.get_docstring(node):
                    faults.append(f"{path}:{node.lineno}: {node.name} has no docstring")
    return faults


CHECKERS = (arrows_back, impurities, drawing_outside_show, too_large, undocumented)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_the_house_keeps_its_rules(checker: Checker) -> None:
    assert (ROOT / "cxlib").is_dir()
    faults = checker(ROOT)
    assert not faults, "\n" + "\n".join(fault.replace(f"{ROOT}/", "") for fault in faults)


LONG_BODY = '"""Long."""\ndef long():\n    """Run on."""\n' + "    a = 1\n" * (LONGEST_BODY + 1)


@pytest.mark.parametrize(
    ("checker", "place", "source"),
    [
        (arrows_back, "measure/plans.py", "from cxlib.data import store"),
        (arrows_back, "measure/plans.py", "from ..show import charts"),
        (arrows_back, "measure/plans.py", "def f():\n    import cxlib.analysis.voice"),
        (arrows_back, "data/store.py", "from cxlib.measure import plans\nfrom cxlib import reports"),
        (arrows_back, "data/store.py", "from cxlib.measure import plans"),
        (arrows_back, "show/charts.py", "from cxlib.data.store import Store"),
        (arrows_back, "analysis/voice.py", "from cxlib import data"),
        (arrows_back, "errors.py", "from . import results"),
        (arrows_back, "attic/old.py", "x = 1"),
        (impurities, "measure/plans.py", "import os"),
        (impurities, "measure/plans.py", "from pathlib import Path"),
        (impurities, "analysis/voice.py", "import duckdb"),
        (impurities, "analysis/voice.py", "open('x')"),
        (impurities, "analysis/voice.py", "import datetime\ndatetime.datetime.now()"),
        (impurities, "analysis/voice.py", "import pandas as pd\npd.Timestamp.today()"),
        (impurities, "analysis/voice.py", "import numpy as np\nnp.random.normal(3)"),
        (impurities, "analysis/voice.py", "import numpy as np\nnp.random.default_rng()"),
        (impurities, "analysis/voice.py", "import numpy as np\nnp.random.seed(1)"),
        (impurities, "measure/plans.py", "from random import choice"),
        (drawing_outside_show, "reports/record.py", "import matplotlib.pyplot as plt"),
        (drawing_outside_show, "analysis/voice.py", "from seaborn import lineplot"),
        (too_large, "errors.py", "a = 1\n" * (LONGEST_MODULE + 1)),
        (too_large, "errors.py", LONG_BODY),
        (undocumented, "errors.py", '"""Errors."""\ndef public():\n    return 1'),
        (undocumented, "errors.py", '"""Errors."""\nclass A:\n    """A."""\n    def public(self):\n        return 1'),
    ],
)
def test_a_checker_sees_a_planted_violation(checker: Checker, place: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / "cxlib" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    assert checker(tmp_path)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (
            "measure/plans.py",
            '"""Plans."""\nfrom cxlib.params import models\nfrom cxlib import errors\nimport numpy as np',
        ),
        ("reports/record.py", '"""Record."""\nimport os\nfrom cxlib.data import store\nfrom ..measure import plans'),
        (
            "analysis/voice.py",
            '"""Voice."""\nimport numpy as np\ndef _draw(rng: np.random.Generator):\n    rng.random(3)',
        ),
        ("params/check.py", '"""Check."""\nfrom cxlib import contract, expressions\nfrom . import models'),
        ("show/charts.py", '"""Charts."""\nimport seaborn\nimport matplotlib'),
    ],
)
def test_the_checkers_leave_good_code_alone(place: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / "cxlib" / place
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert [fault for checker in CHECKERS for fault in checker(tmp_path)] == []


def loaded_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after `code`."""
    report = (
        "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
    )
    done = subprocess.run([sys.executable, "-c", report + code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


HEAVY = {
    "pandas",
    "numpy",
    "scipy",
    "seaborn",
    "matplotlib",
    "ibis",
    "duckdb",
    "deltalake",
    "pyarrow",
    "papermill",
    "voila",
}


def test_help_is_light() -> None:
    loaded = loaded_after("import sys; sys.argv = ['cx', '--help']\nfrom cxlib.cli import main\nmain()")
    assert "cxlib.cli" in loaded
    assert not loaded & HEAVY


def test_importing_the_package_is_light() -> None:
    loaded = loaded_after("import cxlib")
    assert "cxlib" in loaded
    assert not loaded & HEAVY


def test_putting_a_report_together_needs_neither_charts_nor_models() -> None:
    """A worker of every run imports it; all of `cxlib.tables` would cost it seconds."""
    loaded = loaded_after("import cxlib.reports.assemble")
    assert "cxlib.show.scorecard" in loaded
    assert not loaded & {"matplotlib", "seaborn", "statsmodels", "sklearn", "ibis"}
