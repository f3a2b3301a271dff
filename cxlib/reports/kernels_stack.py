"""What the template holds: the imported stack, and whether a kernel with it would be like one that starts anew."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

# What kernels import when they start.
KERNEL = (
    "ipykernel.kernelapp", "ipykernel.debugger", "IPython.core.completerlib", "IPython.core.debugger",
    "IPython.core.oinspect", "IPython.extensions.storemagic", "pdb", "sqlite3", "tornado.platform.asyncio",
)  # fmt: skip
# What notebooks and the rooms behind them use of other packages.
LIBRARIES = (
    "babel.dates", "babel.localedata", "babel.numbers", "numpy", "pandas", "pyarrow.compute", "pyarrow.dataset",
    "pyarrow.parquet", "duckdb", "deltalake", "sqlglot", "ibis", "ibis.backends.duckdb", "scipy.linalg",
    "scipy.optimize", "scipy.spatial", "scipy.special", "scipy.stats", "sklearn.cluster", "sklearn.decomposition",
    "sklearn.metrics", "sklearn.mixture", "snowballstemmer", "statsmodels.api",
    "statsmodels.duration.survfunc", "statsmodels.miscmodels.ordinal_model",
    "statsmodels.tsa.seasonal", "matplotlib.pyplot", "matplotlib.font_manager", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "seaborn", "ipywidgets", "IPython.core.pylabtools", "matplotlib_inline.config",
    "xlsxwriter",
)  # fmt: skip
# Modules of ours that no notebook opens.
_NOT_FOR_NOTEBOOKS = re.compile(
    r"cxlib\.(cli|data\.(demo|proposal|stage|reading)"
    r"|reports\.(kernels\w*|serve\w*|handlers\w*|seats|shelf|throttle|viewers|visits|hub|pdf|runner|crew|work|execute|page))"
    r"\b.*"
)
# What an interpreter or a library reads once, when it starts.
_AT_START = re.compile(
    r"PYTHON(?!PATH$|SAFEPATH$|EXECUTABLE$)\w*|LD_\w+|LANG|LANGUAGE|LC_\w+|MALLOC_\w+|GLIBC_TUNABLES|HOME|XDG_\w+_HOME"
    r"|MATPLOTLIBRC|MPLCONFIGDIR|OMP_(?!NUM_THREADS$)\w+|OPENBLAS_(?!NUM_THREADS$)\w+"
    r"|(?:KMP|GOMP|NPY|ARROW|PANDAS|SCIPY|SKLEARN|IBIS|DUCKDB)_\w+"
)
_MODULE = re.compile(r"|pyc?|(.+\.)?so")  # how names of modules end


class Stack:
    """The imported stack, and the state of the world when it was imported."""

    def __init__(self) -> None:
        self._before = dict(os.environ)
        self._stamps: dict[str, tuple[int, int]] = {}
        self.path = sys.path[1:]  # of an interpreter without PYTHONPATH: the first found this module
        self.set: dict[str, str] = {}  # variables that the imports have set
        self.kernel: list[str] = []  # names of the modules that an ordinary kernel starts with

    def import_all(self) -> Iterator[str]:
        """Import what kernels use; yields the name of each module after its import."""
        yield from map(_imported, KERNEL)
        self.kernel = [*sys.modules]
        with _as_in_a_kernel():
            yield _imported("pandas")
        yield from map(_imported, (*LIBRARIES, *_ours()))
        import_module("duckdb").close()  # its import opens a database in memory, with threads
        sys.modules.pop("matplotlib_inline.backend_inline", None)  # it binds itself to the kernel when it is imported
        self.set = {name: value for name, value in os.environ.items() if self._before.get(name) != value}
        self._stamps = _stamps()

    def stale(self) -> bool:
        """Say whether what is on disk is no longer what was imported."""
        return _stamps() != self._stamps

    def differs(self, folder: str, environment: Mapping[str, str]) -> str:
        """Say why a kernel with this folder and environment would be another if it started anew; '' for no reason."""
        for name in filter(_AT_START.fullmatch, sorted({*self._before, *environment})):
            if environment.get(name) != self._before.get(name):
                return f"{name} is another"
        if Path(folder, "matplotlibrc").exists():
            return "there is a matplotlibrc"
        places = search_path(environment, folder)
        if not environment.get("PYTHONSAFEPATH"):
            places.append(folder)
        if _found("cxlib", [*places, *self.path]) != _found("cxlib", sys.path):
            return "it has another cxlib"
        here = {name: getattr(module, "__file__", None) for name, module in [*sys.modules.items()] if "." not in name}
        here |= {"sitecustomize": here.get("sitecustomize"), "usercustomize": here.get("usercustomize")}
        return next((f"{place} has other modules" for place in places if _others(Path(place), here)), "")


@contextlib.contextmanager
def _as_in_a_kernel() -> Iterator[None]:
    """Let pandas see a kernel: it looks once, and would fit tables to the width of a terminal without one."""
    kept = sys.stdout
    vars(builtins)["get_ipython"] = lambda: SimpleNamespace(kernel=True)
    sys.stdout = _KernelOutput()
    try:
        yield
    finally:
        sys.stdout = kept
        del vars(builtins)["get_ipython"]


class _KernelOutput(io.StringIO):
    encoding = "UTF-8"  # as kernels spell it


def _imported(name: str) -> str:
    with contextlib.suppress(Exception):  # the kernel that wants this module tells
        import_module(name)
    return name


def _ours() -> Iterator[str]:
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not _NOT_FOR_NOTEBOOKS.fullmatch(name):
            yield name


def search_path(environment: Mapping[str, str], folder: str) -> list[str]:
    """Return the entries of PYTHONPATH, seen from a folder."""
    given = environment.get("PYTHONPATH", "")
    return [os.path.normpath(Path(folder, place)) for place in given.split(os.pathsep)] if given else []


def _found(package: str, path: list[str]) -> Path | None:
    found = (Path(place, package, "__init__.py") for place in path)
    return next((source.resolve() for source in found if source.is_file()), None)


def _others(place: Path, here: Mapping[str, str | None]) -> bool:
    """Say whether a folder has a module of a name that is imported from elsewhere; an archive might."""
    if not place.is_dir():
        return place.exists()
    for path in place.iterdir():
        stem, _, kind = path.name.partition(".")
        if stem in here and _MODULE.fullmatch(kind):
            source, held = path if kind else path / "__init__.py", here[stem]
            if source.is_file() and not (held and source.samefile(held)):
                return True
    return False


def _stamps() -> dict[str, tuple[int, int]]:
    """Return the state on disk of our own code and of the folders of other packages."""
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    paths += [module.__file__ or "" for name, module in [*sys.modules.items()] if name.partition(".")[0] == "cxlib"]
    return {path: _stamp(Path(path)) for path in paths}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
