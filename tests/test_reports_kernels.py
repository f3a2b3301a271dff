"""Warm kernels: what cells see in them is what they see in any kernel; they end as any kernel does."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from warm_kernels import (
    QUIET,
    ROOT,
    Talk,
    children,
    close_loop,
    environment,
    eventually,
    lives,
    open_files,
    own_code,
    parent,
    talk,
)

from cxlib.reports import kernels, kernels_link, kernels_template

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with own_code(tmp_path_factory.mktemp("code")) as folder:
        yield folder


@pytest.fixture(scope="module")
def template(code: Path) -> Iterator[kernels.Template]:
    """A template of this process."""
    started = kernels.start()
    yield started
    started.close()


SEEN = r"""
import json, locale, os, re, signal, sys, tempfile, threading, time, warnings, logging, gc
import duckdb, matplotlib, numpy, pandas, pyarrow, seaborn, sklearn.cluster, statsmodels.api, threadpoolctl
from pandas._config import config as options
seen = {
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "arguments": [os.path.basename(word) for word in sys.argv[:2]] + sys.argv[3:],
    "original": sys.orig_argv[:4],
    "path": sys.path,
    "options": {name: str(options.get_option(name)) for name in options._registered_options},
    "defaults": {name: str(option.defval) for name, option in options._registered_options.items()},
    "drawing": {name: str(value) for name, value in matplotlib.rcParams.items()},
    "backend": [matplotlib.get_backend(auto_select=False), matplotlib.is_interactive()],
    "signals": {str(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
    "wakeup": signal.set_wakeup_fd(-1) >= 0,
    "blocked": [str(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    "threads": sorted(re.sub(r"\d", "", thread.name) for thread in threading.enumerate()),
    "group": [os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()],
    "locale": [locale.setlocale(locale.LC_CTYPE), locale.setlocale(locale.LC_NUMERIC), sys.getfilesystemencoding()],
    "time": [time.tzname, time.timezone],
    "temporary": tempfile.gettempdir(),
    "input": os.read(0, 10).decode(),
    "standard": [stream and [stream.encoding, stream.fileno()] for stream in (sys.__stdin__, sys.__stdout__)],
    "main": [sys.modules["__main__"].__name__, hasattr(sys.modules["__main__"], "__file__")],
    "pools": sorted({(pool["user_api"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()}),
    "arrow": [pyarrow.cpu_count(), pyarrow.io_thread_count(), pyarrow.default_memory_pool().backend_name],
    "database": duckdb.sql("select current_setting('threads'), current_setting('memory_limit')").fetchall(),
    "warnings": [str(entry) for entry in warnings.filters if entry[3] or "Deprecation" in str(entry)],
    "logging": [str(logging.getLogger().handlers), logging.getLogger().level, logging.root.manager.disable],
    "garbage": [gc.isenabled(), gc.get_threshold()],
    "limit": sys.getrecursionlimit(),
    "hooks": [sys.excepthook.__qualname__, type(sys.displayhook).__name__, type(sys.stdout).__name__],
    "modules": len(get_ipython().kernel._kernel_modules) > 300,
}
print(json.dumps(seen))
"""


def test_cells_see_in_a_warm_kernel_what_they_see_in_any(template: kernels.Template, tmp_path: Path) -> None:
    given = environment(MPLBACKEND=None, OMP_NUM_THREADS="2", TZ="Asia/Tokyo", TMPDIR=str(tmp_path))
    given["SOMETHING"] = "ünï\udcff = x"
    seen = {}
    for name in (kernels.NAME, "cold"):
        more = "off" if name == "cold" else ""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kernels, "_current", kernels.Template() if more else template)
            with talk(kernels.NAME, tmp_path, env=dict(given)) as kernel:
                assert kernel.warm is not bool(more)
                seen[name] = json.loads(kernel.run(SEEN))
    warm, cold = seen[kernels.NAME], seen["cold"]
    assert warm.keys() == cold.keys()
    for name in cold:
        assert warm[name] == cold[name], name
    assert cold["time"][0] == ["JST", "JST"]
    assert cold["options"]["display.max_columns"] == "20"
    assert cold["backend"][0] in ("inline", "module://matplotlib_inline.backend_inline")


def test_charts_stand_in_the_notebook(template: kernels.Template, tmp_path: Path) -> None:
    cell = "import matplotlib, matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint(matplotlib.get_backend())"
    with talk(kernels.NAME, tmp_path, env=environment(MPLBACKEND=None)) as kernel:
        drawn = [content for kind, content in kernel.messages(cell) if kind == "display_data"]
        assert len(drawn) == 1
        assert drawn[0]["data"]["image/png"]
        assert kernel.run("print(plt.get_fignums())") == "[]\n"
    with talk(kernels.NAME, tmp_path, env=environment(MPLBACKEND="svg")) as kernel:
        assert [kind for kind, _ in kernel.messages(cell)].count("display_data") == 0
        assert kernel.run("print(matplotlib.get_backend())") == "svg\n"


def test_no_two_kernels_draw_the_same_numbers(template: kernels.Template, tmp_path: Path) -> None:
    cell = (
        "import random, tempfile, uuid, numpy, scipy.stats\n"
        "print(random.random(), numpy.random.random(), numpy.random.default_rng().random(), uuid.uuid4(), uuid.uuid1(),"
        " scipy.stats.norm.rvs(), tempfile.mktemp())"
    )
    with talk(kernels.NAME, tmp_path) as one, talk(kernels.NAME, tmp_path) as other:
        assert one.warm
        assert other.warm
        first, second = one.run(cell).split(), other.run(cell).split()
    assert len(first) == 7
    assert not set(first) & set(second)


WORK = """
import duckdb, ibis, pandas, pyarrow, pyarrow.compute, pyarrow.parquet, numpy, os, deltalake
from sklearn.cluster import KMeans
rows = pyarrow.table({"a": numpy.arange(300_000) % 7, "b": numpy.random.default_rng(1).normal(size=300_000)})
print(duckdb.sql("select a, count(*) from rows group by a order by a limit 1").fetchall())
pyarrow.parquet.write_table(rows, "x.parquet")
print(pyarrow.parquet.read_table("x.parquet", use_threads=True).num_rows)
deltalake.write_deltalake("delta", rows, partition_by=["a"])
print(deltalake.DeltaTable("delta").to_pyarrow_table().num_rows)
print(ibis.duckdb.connect().read_parquet("x.parquet").a.max().execute())
print(KMeans(3, n_init=1, random_state=1).fit(numpy.random.default_rng(1).normal(size=(2000, 4))).n_features_in_)
print(round(float((numpy.ones((400, 400)) @ numpy.ones((400, 400))).sum())), len(os.listdir("/proc/self/task")) > 10)
"""


def test_threads_of_libraries_start_after_the_fork(template: kernels.Template, tmp_path: Path) -> None:
    with talk(kernels.NAME, tmp_path, env=environment(OMP_NUM_THREADS="3")) as kernel:
        assert kernel.warm
        said = kernel.run(WORK).splitlines()
    assert said == ["[(0, 42858)]", "300000", "300000", "6", "4", "64000000 True"]
    assert len(list(Path(f"/proc/{template.process.pid}/task").iterdir())) == 1


def test_modules_are_found_where_the_environment_says(template: kernels.Template, code: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "of_my_own.py").write_text("x = 7", encoding="utf-8")
    (tmp_path / "beside.py").write_text("x = 8", encoding="utf-8")
    given = environment(PYTHONPATH=f"{tmp_path / 'mine'}{os.pathsep}{code}", PYTHONSAFEPATH="1")
    with talk(kernels.NAME, tmp_path, env=given) as kernel:
        assert kernel.warm
        assert kernel.run("import of_my_own; print(of_my_own.x)") == "7\n"
        with pytest.raises(RuntimeError, match="ModuleNotFoundError"):
            kernel.run("import beside")
    with talk(kernels.NAME, tmp_path, env=environment(PYTHONSAFEPATH=None)) as kernel:
        assert kernel.run("import beside; print(beside.x)") == "8\n"


# ------------------------------------------------------------------------------------------------ no forked kernel


def request(folder: Path) -> dict:
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(folder / "connection.json")]
    return {"command": command, "folder": str(folder), "environment": environment()}


def asked(template: kernels.Template, message: dict) -> kernels_link.Forked:
    with Path(os.devnull).open("r+b") as nothing:
        return asyncio.run(kernels_link.ask(template.address, message, [nothing.fileno()] * 3, 60))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"PYTHONHASHSEED": "0"}, "PYTHONHASHSEED"),
        ({"LC_ALL": "C"}, "LC_ALL"),
        ({"HOME": "/nonexistent"}, "HOME"),
        ({"PYTHONPATH": "shadows:{code}"}, "other modules"),
        ({"PYTHONPATH": "another"}, "another cxlib"),
        ({"command": ["python", "-m", "ipykernel_launcher"]}, "does not know"),
        ({"command": [sys.executable, "-m", "something"]}, "does not know"),
        ({"folder": "/nonexistent"}, "no folder"),
        ({"protocol": 0}, "another protocol"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_kernel_that_would_be_another_is_refused(
    template: kernels.Template, code: Path, tmp_path: Path, more: dict, why: str
) -> None:
    (tmp_path / "shadows").mkdir()
    (tmp_path / "shadows" / "duckdb.py").touch()
    (tmp_path / "another" / "cxlib").mkdir(parents=True)
    (tmp_path / "another" / "cxlib" / "__init__.py").touch()
    message = request(tmp_path) | more
    message["environment"] |= {name: value.format(code=code) for name, value in more.items() if name.isupper()}
    with pytest.raises(kernels_link.RefusedError, match=why):
        asked(template, message)


def test_settings_of_matplotlib_in_the_folder_are_heeded(template: kernels.Template, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7", encoding="utf-8")
    with talk(kernels.NAME, tmp_path) as kernel:
        assert not kernel.warm
        assert kernel.run("import matplotlib; print(matplotlib.rcParams['lines.linewidth'])") == "7.0\n"


@pytest.mark.parametrize("address", ["off", "nowhere", "elsewhere"])
def test_without_a_template_kernels_start_the_ordinary_way(
    template: kernels.Template, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_current", None)
    monkeypatch.setenv(kernels.VARIABLE, "off" if address == "off" else str(tmp_path / address / "socket"))
    if address != "off":
        monkeypatch.setattr(kernels, "_spawned", lambda *_: None)
    if address == "elsewhere":
        monkeypatch.setattr(sys, "platform", "darwin")
    assert kernels.start().address == ""
    kernels.start().close()
    with talk(kernels.NAME, tmp_path) as kernel:
        assert not kernel.warm
        assert kernel.run("print(6 * 7)") == "42\n"


def test_what_a_forked_kernel_cannot_give_is_left_to_an_ordinary_one(
    template: kernels.Template, tmp_path: Path
) -> None:
    with talk(kernels.NAME, tmp_path, independent=True) as kernel:
        assert not kernel.warm
    with pytest.raises(FileNotFoundError):
        Talk(kernels.NAME, tmp_path / "nowhere")
    close_loop()


# ------------------------------------------------------------------------------------------------- signals and ends


def test_interrupts_reach_the_kernel_and_what_it_started(template: kernels.Template, tmp_path: Path) -> None:
    with talk(kernels.NAME, tmp_path) as kernel:
        assert kernel.warm
        cell = "import subprocess; subprocess.run(['sh', '-c', 'touch started; exec sleep 60'])"
        for again in (cell, "import time; open('started', 'w').close(); time.sleep(60)"):
            (tmp_path / "started").unlink(missing_ok=True)
            other = threading.Thread(target=interrupt, args=[kernel, tmp_path / "started"])
            other.start()
            with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
                kernel.run(again)
            other.join()
        assert kernel.run("print(1)") == "1\n"
        assert eventually(lambda: not children(kernel.pid))


def interrupt(kernel: Talk, when: Path) -> None:
    assert eventually(when.exists)
    kernel.manager.interrupt_kernel()
    close_loop()


@pytest.mark.parametrize("now", [True, False])
def test_a_kernel_restarts(template: kernels.Template, tmp_path: Path, now: bool) -> None:
    with talk(kernels.NAME, tmp_path) as kernel:
        kernel.run("x = 1")
        before = kernel.pid
        kernel.client.stop_channels()
        kernel.manager.restart_kernel(now=now)
        kernel.connect()
        assert kernel.warm
        assert kernel.pid != before
        assert not lives(before)
        with pytest.raises(RuntimeError, match="NameError"):
            kernel.run("x")


@pytest.mark.parametrize("cell", ["import os; os._exit(3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_crash_is_told_at_once(template: kernels.Template, tmp_path: Path, cell: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    client = NotebookClient(notebook, kernel_name=kernels.NAME, resources={"metadata": {"path": str(tmp_path)}})
    client.extra_arguments = QUIET
    started = time.monotonic()
    with pytest.raises(DeadKernelError):
        client.execute()
    close_loop()
    assert time.monotonic() - started < 10
    assert eventually(lambda: not children(template.process.pid))


def test_the_end_of_a_kernel_is_known(template: kernels.Template, tmp_path: Path) -> None:
    kernel = asked(template, request(tmp_path))
    assert kernel.poll() is None
    kernel.terminate()
    assert kernel.wait(10) == -signal.SIGTERM
    assert kernel.poll() == -signal.SIGTERM
    kernel.kill()  # nobody else's
    with_arguments = request(tmp_path)
    with_arguments["command"] += ["--no-such-option"]
    kernel = asked(template, with_arguments)
    assert kernel.wait(20) == 2
    assert eventually(lambda: not children(template.process.pid))


def test_many_kernels_leave_nothing_behind(template: kernels.Template, tmp_path: Path) -> None:
    asked(template, request(tmp_path)).release()  # the template has imported all: that opens files, too
    assert eventually(lambda: not children(template.process.pid))
    ours, its = open_files(), open_files(template.process.pid)
    for number in range(30):
        kernel = asked(template, request(tmp_path))
        assert os.getpgid(kernel.pid) in (kernel.pid, template.process.pid)
        if number % 3:
            kernel.kill()
            assert kernel.wait(10) == -signal.SIGKILL
        else:
            kernel.release()
    assert eventually(lambda: not children(template.process.pid))
    assert eventually(lambda: open_files(template.process.pid) == its)
    assert open_files() == ours


def test_threads_may_start_kernels_at_once(template: kernels.Template, tmp_path: Path) -> None:
    def work(number: int) -> tuple[bool, str]:
        with talk(kernels.NAME, tmp_path) as kernel:
            return kernel.warm, kernel.run(f"print({number} * 2)")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [(True, f"{number * 2}\n") for number in range(4)]


def test_a_broken_request_harms_nobody(template: kernels.Template, tmp_path: Path) -> None:
    for words in (b"", b"x", b"\xff\xff\xff\x7f{", kernels_link.packed({"command": 1})):
        with kernels_link.connect(template.address) as link:
            link.send(words) if words else None
    kernel = asked(template, request(tmp_path))
    assert parent(kernel.pid) == template.process.pid
    kernel.release()


def test_the_socket_is_for_its_owner(
    template: kernels.Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(template.address).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    with kernels_link.listen(str(tmp_path / "open"))[0], pytest.raises(PermissionError, match="not private"):
        kernels_link.connect(str(tmp_path / "open" / "socket"))
    monkeypatch.setattr(kernels_link, "peer", lambda _: (1, os.getuid() + 1))
    with pytest.raises(PermissionError, match="somebody else"):
        kernels_link.connect(template.address)


def test_the_template_turns_strangers_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    listener, address = kernels_link.listen(str(tmp_path))
    with listener, kernels_link.connect(address) as link:
        monkeypatch.setattr(kernels_link, "peer", lambda _: (1, os.getuid() + 1))
        link.sendall(b"whatever it asks")
        assert kernels_template.Template(os.getpid(), listener, str(tmp_path))._accept() is None
        link.setblocking(True)
        with pytest.raises(ConnectionResetError):
            assert link.recv(1)


# --------------------------------------------------------------------------------------------------- several processes


OWNER = """
import os, sys, time
sys.path[:0] = {tests!r},
from pathlib import Path
from warm_kernels import Talk, parent
from cxlib.reports import kernels
kernel = Talk(kernels.NAME, Path({folder!r}))
started = kernel.run("import os, subprocess; print(subprocess.Popen(['sleep', '100']).pid)")
template = kernels.start()
print(os.getpid(), parent(kernel.pid), kernel.pid, int(started), template.address, flush=True)
{more}
time.sleep(100)
"""


@contextlib.contextmanager
def owner(folder: Path, more: str = "", **env: str | None) -> Iterator[tuple[subprocess.Popen, list[int], Path]]:
    """A process that has a kernel; the template, the kernel and a process of the kernel's; the address."""
    script = OWNER.format(tests=str(ROOT / "tests"), folder=str(folder), more=more)
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment(**env), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split(" ", 4)
            assert int(words[0]) == process.pid
            yield process, [int(word) for word in words[1:4]], Path(words[4].strip())
        finally:
            process.kill()


def test_a_worker_uses_the_template_of_its_parent(template: kernels.Template, tmp_path: Path) -> None:
    with owner(tmp_path) as (process, (above, *its), address):
        assert (above, str(address)) == (template.process.pid, template.address)
        process.kill()
        assert eventually(lambda: not any(map(lives, its)), 1)
    assert template.alive
    assert eventually(lambda: not children(template.process.pid), 1)


def test_all_ends_with_the_owner(code: Path, tmp_path: Path) -> None:
    with owner(tmp_path, CX_KERNELS=None) as (process, its, address):
        assert all(map(lives, its))
        assert its[0] != process.pid
        process.kill()
        assert eventually(lambda: not any(map(lives, its)), 1)
    assert not address.parent.exists()


def test_kernels_end_with_the_template_and_the_next_has_another(code: Path, tmp_path: Path) -> None:
    more = """
os.kill(parent(kernel.pid), 9)
while kernel.manager.is_alive():
    time.sleep(0.01)
print(kernel.manager.provisioner.process.returncode, flush=True)
kernel.close()
kernel = Talk(kernels.NAME, Path({folder!r}))
print(parent(kernel.pid), kernel.run("print(1)"), flush=True)
kernel.close()
"""
    with owner(tmp_path, more.format(folder=str(tmp_path)), CX_KERNELS=None) as (process, its, _):
        assert process.stdout is not None
        assert process.stdout.readline() == "-9\n"
        another, said = process.stdout.readline().split()
        assert said == "1"
        assert int(another) not in (*its, process.pid)
    assert eventually(lambda: not lives(int(another)), 1)


def test_changed_code_is_not_used_any_longer(code: Path, tmp_path: Path) -> None:
    shutil.copytree(code / "cxlib", tmp_path / "copy" / "cxlib")
    more = """
source = Path({source!r})
source.write_text(source.read_text(encoding="utf-8") + "ADDED = 7", encoding="utf-8")
other = Talk(kernels.NAME, Path({folder!r}))
print(parent(other.pid), other.run("import cxlib.errors; print(cxlib.errors.ADDED)"), flush=True)
print(kernel.run("print(5)"), flush=True)
old = parent(kernel.pid)
kernel.close()
print(kernels.start().alive, flush=True)
for _ in range(1000):
    if kernels._left[0].alive:
        time.sleep(0.01)
print(kernels._left[0].alive, flush=True)
"""
    source = tmp_path / "copy" / "cxlib" / "errors.py"
    given = {"PYTHONPATH": str(tmp_path / "copy"), "PYTHONSAFEPATH": "1", "CX_KERNELS": None}
    with owner(tmp_path, more.format(source=str(source), folder=str(tmp_path)), **given) as (process, its, _):
        assert process.stdout is not None
        another, said = process.stdout.readline().split()
        assert said == "7"
        assert int(another) not in (*its, process.pid)
        assert [process.stdout.readline().strip() for _ in range(5)][1:] == ["5", "", "True", "False"]


# ------------------------------------------------------------------------------------------------------------ the stack


def test_the_template_holds_what_notebooks_use(template: kernels.Template, tmp_path: Path) -> None:
    with talk(kernels.NAME, tmp_path) as kernel:
        held = set(json.loads(kernel.run("import json, sys; print(json.dumps(sorted(sys.modules)))")))
    rooms = [*(ROOT / "cxlib").glob("*.py")]
    for room in ("analysis", "measure", "params", "show"):
        rooms += (ROOT / "cxlib" / room).rglob("*.py")
    rooms += [ROOT / "cxlib" / "data" / "store.py", ROOT / "cxlib" / "reports" / "record.py"]
    wanted = {name for path in rooms for name in imported(path)} - {"sentence_transformers"}  # an extra
    assert len(wanted) > 100
    assert not {name for name in wanted if name not in held and name.rpartition(".")[0] not in held}


def imported(path: Path) -> Iterator[str]:
    """The modules that a module of ours imports, at whatever depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
