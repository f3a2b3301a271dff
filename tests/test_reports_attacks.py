"""Attacks on the report server: each is tried on a real process, and each is refused."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import attacker
import pytest
import toy_workspace as toy
from attacker import BASE, HOST, PROXY, SECRET, SOURCE, Attacked, heard, kinds, left, now, written
from click.testing import CliRunner
from tornado.httpclient import HTTPClientError
from warm_kernels import eventually

from cxlib.cli import main

EXPLORE = "/explore/toy/2026-10/01_first"
MARK = "company: Toy"  # of params/workspace.yml, the file that traversals go for


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, warm_module: None) -> Iterator[Attacked]:
    root = attacker.workspace(tmp_path_factory.mktemp("Ünder attack"))
    (root / "reports" / "toy" / "2026-10" / "figures").mkdir(exist_ok=True)
    with attacker.attacked(root) as found:
        yield found
        found.explore("bob")  # at its end nothing of this kernel may stay


def test_a_report_is_there_for_whom_it_is(served: Attacked) -> None:
    home = served.ask("/", "ada")
    assert all(f"/reports/{pack}/2026-10/" in home.text for pack in ("toy", "board", "kept"))
    page = served.ask(f"{BASE}/01_first.html", "bob")
    assert "computed 42" in page.text
    assert page.headers["etag"]
    assert served.ask(f"{BASE}/01_first.html", "bob", If_None_Match=page.headers["etag"]).status == 304
    assert served.ask(f"{BASE}/01_first.html", "bob", method="HEAD").body == b""


# Files and folders


@pytest.mark.parametrize("before", [f"{BASE}/", "/reports/", "/explore/toy/", "/voila/static/", "/voila/labextensions/",
    "/voila/templates/base/static/", "/voila/templates/../", "/"])  # fmt: skip
def test_no_path_leads_out(served: Attacked, before: str) -> None:
    up = ("../" * 8, "%2e%2e/" * 8, "..%2f" * 8, "%252e%252e%252f" * 8, "..\\" * 8, "..%5c" * 8, "%c0%ae%c0%ae/" * 8,
          "./" * 3 + "../" * 8, "/" * 3, "....//" * 8, "%00/../" * 3)  # fmt: skip
    there = served.root.as_posix().lstrip("/")
    targets = ("params/workspace.yml", "etc/passwd", quote(f"{there}/params/workspace.yml"), "etc/passwd%00.png")
    for number, step in enumerate(up):
        for target in (targets[number % 4], targets[(number + 1) % 4]):
            answer = served.line(f"{before}{step}{target}")
            assert answer.split(b" ", 2)[1] in (b"400", b"404"), (step, target, answer[:200])
            assert b"root:" not in answer
            assert MARK.encode() not in answer


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right that users of Windows lack")
def test_no_link_leads_out(served: Attacked) -> None:
    reports, params = served.root / "reports", served.root / "params" / "workspace.yml"
    report = reports / "toy" / "2026-10"
    for link, target in (
        (report / "figures" / "out.svg", params), (report / "figures" / "inner.svg", report / "01_first.ipynb"),
        (report / "tables", served.root / "params"), (reports / "toy" / "2026-11", reports / "board" / "2026-10"),
        (reports / "linked", reports / "board"),
    ):  # fmt: skip
        link.symlink_to(target)
    (served.root / "params" / "x.csv").write_text(MARK, encoding="utf-8")
    for path in (f"{BASE}/figures/out.svg", f"{BASE}/figures/inner.svg", f"{BASE}/tables/x.csv",
                 "/reports/toy/2026-11/", "/reports/linked/2026-10/", "/explore/linked/2026-10/01_first"):  # fmt: skip
        assert served.ask(path, "ada").status == 404, path
    assert "linked" not in served.ask("/", "ada").text


def test_no_folder_is_listed(served: Attacked) -> None:
    for path in ("/reports", "/reports/", "/reports/toy", "/reports/toy/", f"{BASE}/figures/", f"{BASE}/inputs/",
                 f"{BASE}/figures", "/explore/", "/voila/static/", "/voila/templates/", "/voila/labextensions/",
                 "/voila/tree", "/voila/tree/toy", "/tree", "/files/", "/lab", "/static/"):  # fmt: skip
        assert served.ask(path, "ada").status == 404, path


def test_the_source_of_a_notebook_is_not_given_out(served: Attacked) -> None:
    for path in (f"{BASE}/01_first.ipynb", f"{BASE}/inputs/01_first/context.json",
                 "/voila/files/toy/2026-10/01_first.ipynb",
                 "/voila/render/toy/2026-10/01_first.ipynb", "/voila/api/contents/toy/2026-10/01_first.ipynb",
                 f"/files{BASE}/01_first.ipynb", f"{BASE}/01_first.IPYNB", f"{BASE}/.ipynb_checkpoints/01_first.ipynb",
                 "/nbconvert/html/toy/2026-10/01_first.ipynb", "/api/contents/toy/2026-10/01_first.ipynb"):  # fmt: skip
        assert served.ask(path, "ada").status == 404, path
    assert SOURCE not in served.ask(f"{BASE}/01_first.html", "ada").text


def test_the_manifest_tells_of_no_machine(served: Attacked) -> None:
    told = served.ask(f"{BASE}/run.json", "ada")
    assert told.status == 200
    assert '"snapshot"' in told.text
    for word in (served.root.as_posix(), served.root.name, "parameters", "readers", "errors"):
        assert word not in told.text


# Audiences


def test_another_audiences_report_is_not_there(served: Attacked) -> None:
    home = served.ask("/", "bob").text
    found = served.ask("/?q=board", "bob").text
    for pack in ("board", "kept"):
        assert f"/reports/{pack}/" not in home + found
        for path in ("", "index.html", "01_first.html", "run.json", "results.parquet", "figures/a.png",
                     f"{pack}-2026-10.pdf", "tables/a.csv"):  # fmt: skip
            hidden = served.ask(f"/reports/{pack}/2026-10/{path}", "bob")
            absent = served.ask(f"/reports/{'x' * len(pack)}/2026-10/{path}", "bob")
            assert hidden.status == absent.status == 404
            assert hidden.body == absent.body
            assert {k for k in hidden.headers if k != "date"} == {k for k in absent.headers if k != "date"}
        assert served.ask(f"/explore/{pack}/2026-10/01_first", "bob").status == 404
        assert served.ask(f"/reports/{pack}/2026-10/01_first.html", "ada").status == 200


def test_time_does_not_tell_that_a_report_is_there(served: Attacked) -> None:
    def took(path: str) -> float:
        began = time.perf_counter()
        served.ask(path, "bob")
        return time.perf_counter() - began

    pairs = [(took("/reports/board/2026-10/"), took("/reports/bored/2026-10/")) for _ in range(25)]
    hidden, absent = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert abs(hidden - absent) < 0.01


def test_readers_in_params_lead(served: Attacked) -> None:
    path = served.root / "params" / "reports" / "toy.yml"
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(before + "readers: [leadership]\n", encoding="utf-8")
        assert served.ask(f"{BASE}/", "bob").status == 404
        assert served.ask(f"{BASE}/", "ada").status == 200
        path.write_text("readers: [", encoding="utf-8")  # faulty: what was known holds
        assert served.ask(f"{BASE}/", "bob").status == 404
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, (1, 1))  # another time than before, however coarse the clock of the file system
    assert served.ask(f"{BASE}/", "bob").status == 200


def test_who_may_see_a_report_no_more_explores_it_no_more(served: Attacked) -> None:
    path, kernel = served.root / "params" / "reports" / "toy.yml", served.explore("bob")
    before = path.read_text(encoding="utf-8")

    async def goes_on() -> tuple[set[str], int | None]:
        connection = await served.connect(kernel, "bob")
        await connection.write_message(written("comm_info_request", {}), binary=True)
        assert "comm_info_reply" in kinds(await heard(connection, 0.5))
        path.write_text(before + "readers: [leadership]\n", encoding="utf-8")
        await asyncio.sleep(1.1)  # who may see it is asked once a second
        await connection.write_message(written("comm_info_request", {}), binary=True)
        answers = await heard(connection)
        return set(kinds(answers)), await left(connection)

    try:
        answers, code = now(goes_on())
        assert answers <= {"status"}
        assert code == 1008
        assert served.ask(f"/api/kernels/{kernel}", "bob").status == 404
        with pytest.raises(HTTPClientError, match="404"):
            now(served.connect(kernel, "bob"))
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, (1, 1))
    assert eventually(lambda: served.ask(f"/api/kernels/{kernel}", "bob").status == 404)  # it has ended
    assert any(one.get("reason") == "not for this viewer any more" for one in served.visits())


# Signing in


def test_nobody_comes_in_without_a_token(served: Attacked) -> None:
    token = served.tokens["ada"]
    for path in ("/", f"{BASE}/", EXPLORE, "/nothing", f"/?token={token}", "/voila/static/voila.js", "/api/kernels"):
        answer = served.ask(path)
        assert answer.status == 401, path
        assert "Your token" in answer.text
        assert "Toy report" not in answer.text
    for header in (
        "Bearer",
        "Bearer x",
        f"Basic {token}",
        f"Bearer {token[:-1]}",
        f"Bearer {token}x",
        f"token {token}",
    ):
        assert served.ask("/", Authorization=header).status == 401
    assert served.ask("/", X_Forwarded_User="ada", X_Forwarded_Groups="leadership").status == 401
    assert served.ask("/", source=PROXY, X_Forwarded_User="ada").status == 401  # tokens are the door, not the proxy


def login(served: Attacked, token: str, there: str = "/", **headers: str) -> attacker.Answer:
    body = f"_xsrf=twice&token={quote(token)}&next={quote(there, safe='')}".encode()
    sent = {"Cookie": "_xsrf=twice", "Content_Type": "application/x-www-form-urlencoded", **headers}
    return served.ask("/login", method="POST", body=body, source=PROXY, **sent)


def test_a_token_opens_a_session_that_a_logout_ends(served: Attacked) -> None:
    answer = login(served, served.tokens["bob"], f"{BASE}/?a=1", X_Forwarded_For="198.51.100.1")
    assert (answer.status, answer.headers["location"]) == (303, f"{BASE}/?a=1")
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/"))
    session = cookie.split(";")[0]
    assert served.tokens["bob"] not in session
    assert served.ask("/", Cookie=session).status == 200
    assert served.ask("/reports/board/2026-10/", Cookie=session).status == 404
    form = {"Content_Type": "application/x-www-form-urlencoded", "method": "POST"}
    assert served.ask("/logout", body=b"", Cookie=session, **form).status == 403  # another site cannot sign one out
    out = served.ask("/logout", body=b"_xsrf=t", Cookie=f"_xsrf=t; {session}", **form)
    assert out.status == 303
    assert re.search(r"cx=[^,]*; expires=\w+, \d\d \w+ 2\d{3}[^,]*; HttpOnly", out.headers["set-cookie"])
    assert parsedate_to_datetime(re.findall(r"expires=([^;]+)", out.headers["set-cookie"])[0]) < datetime.now(UTC)
    assert served.ask("/", Cookie=session).status == 401  # also for who has a copy of it

    secure = login(
        served, served.tokens["bob"], Cookie="__Host-_xsrf=twice", X_Forwarded_For="198.51.100.1",
        X_Forwarded_Proto="https",
    )  # fmt: skip
    assert secure.headers["set-cookie"].startswith("__Host-cx=")
    assert "Secure" in secure.headers["set-cookie"]
    assert "max-age" in secure.headers["strict-transport-security"]


def test_the_form_is_shown_and_its_cookie_is_kept_to_https(served: Attacked) -> None:
    plain = served.ask("/login")
    assert plain.status == 200
    assert "Your token" in plain.text
    assert plain.headers["set-cookie"].startswith("_xsrf=")
    assert "Secure" not in plain.headers["set-cookie"]
    far = {"source": PROXY, "X_Forwarded_For": "198.51.100.1, 127.0.0.2", "X_Forwarded_Proto": "https,http"}
    cookie = served.ask("/login", **far).headers["set-cookie"]  # type: ignore[arg-type]
    assert cookie.startswith("__Host-_xsrf=")
    assert all(word in cookie for word in ("Secure", "Path=/", "SameSite=Strict"))
    refused = login(served, served.tokens["bob"], X_Forwarded_For="198.51.100.1", X_Forwarded_Proto="https")
    assert refused.status == 403  # a cookie that any host around could have set


def test_a_login_leads_to_this_server_alone(served: Attacked) -> None:
    for there in ("https://evil.example/", "//evil.example/", "/\\evil.example", "/%0d%0aX: y", "javascript:alert(1)",
                  "\\\\evil", "/\tx", "", "/\r\nSet-Cookie: a=b"):  # fmt: skip
        answer = login(served, served.tokens["bob"], there, X_Forwarded_For=f"198.51.100.{2 + len(there)}")
        assert answer.status == 303
        assert answer.headers["location"] in ("/", "/%0d%0aX: y"), there  # the second is one path, still encoded
        assert answer.headers["set-cookie"].startswith("cx=")


def test_logging_in_needs_the_form_and_patience(served: Attacked) -> None:
    assert login(served, "x", Cookie="_xsrf=other").status == 403
    assert login(served, served.tokens["bob"], Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 403
    wrong = [login(served, f"wrong{number}", X_Forwarded_For="203.0.113.9").status for number in range(12)]
    assert wrong[:10] == [401] * 10
    assert wrong[10:] == [429] * 2
    assert login(served, served.tokens["bob"], X_Forwarded_For="203.0.113.9").status == 429
    assert login(served, served.tokens["bob"], X_Forwarded_For="203.0.113.10").status == 303
    forged = login(
        served, "x", X_Forwarded_For="203.0.113.9, 203.0.113.11"
    )  # whom the proxy saw counts, not who is told
    assert forged.status == 401


def test_a_token_that_is_taken_back_opens_nothing(served: Attacked) -> None:
    file = served.root / "tokens.yml"
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(before.replace("name: bob", "name: rob").replace("- care", "- leadership"), encoding="utf-8")
        deadline = time.monotonic() + 10
        while served.ask("/reports/board/2026-10/", "bob").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        file.write_text("tokens: !!python/object/apply:os.system ['touch harmed']", encoding="utf-8")  # known ones stay
        time.sleep(1.2)
        assert served.ask("/", "bob").status == 200
        assert not list(served.root.rglob("harmed"))
        file.write_text("tokens: []\n", encoding="utf-8")
        while served.ask("/", "bob").status != 401:
            assert time.monotonic() < deadline + 10
            time.sleep(0.2)
    finally:
        file.write_text(before, encoding="utf-8")
        time.sleep(1.2)
    assert served.ask("/", "bob").status == 200


# Other sites


def test_another_sites_name_and_page_reach_nothing(served: Attacked) -> None:
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1.evil.example", "localhost.evil.example", "",
                 "cx.example.org.evil.example", "169.254.169.254", "[::2]", "127.0.0.1@evil.example"):  # fmt: skip
        assert served.ask("/", "ada", Host=host).status in (400, 403), host
    assert served.ask("/", "ada", Host="cx.example.org").status == 200
    for more in ({"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}, {"Sec_Fetch_Mode": "cors"},
                 {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
                 {"Sec_Fetch_Mode": "websocket"}):  # fmt: skip
        for path in ("/", f"{BASE}/", EXPLORE):
            assert served.ask(path, "ada", Sec_Fetch_Site="cross-site", **more).status == 403
    followed = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert served.ask("/", "ada", **followed).status == 200
    assert served.ask("/", **followed).headers["refresh"] == "0"  # then the browser brings its strict cookie


def test_every_answer_says_what_a_browser_may_do(served: Attacked) -> None:
    for path, who in (("/", "ada"), (f"{BASE}/", "ada"), ("/nothing", "ada"), ("/", ""), (f"{BASE}/run.json", "ada"),
                      ("/login", ""), ("/voila/static/voila.js", "ada"), ("/health", "")):  # fmt: skip
        headers = served.ask(path, who, Origin="https://evil.example").headers
        assert "server" not in headers, path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "private" in headers["cache-control"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_files_are_what_they_say_and_run_nothing(served: Attacked) -> None:
    folder = served.root / "reports" / "toy" / "2026-10"
    (folder / "figures" / "drawn.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    (folder / "results.parquet").write_bytes(b"PAR1" * 100_000)
    drawn = served.ask(f"{BASE}/figures/drawn.svg", "ada").headers
    assert drawn["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in drawn["content-security-policy"]
    assert "sandbox" in drawn["content-security-policy"]
    table = served.ask(f"{BASE}/results.parquet", "ada")
    assert table.headers["content-disposition"].startswith("attachment")
    assert len(table.body) == 400_000
    assert served.ask(f"{BASE}/results.parquet", "ada", If_None_Match=table.headers["etag"]).status == 304
    for name in ("figures/drawn.html", "figures/.hidden.svg", "index.html.bak", "run.json.part", "other-2026-10.pdf"):
        (folder / name).write_text("x", encoding="utf-8")
        assert served.ask(f"{BASE}/{name}", "ada").status == 404


# Jupyter


def test_jupyters_own_addresses_are_not_there(served: Attacked) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        for path in ("/api/kernels", "/api/sessions", "/api/contents", "/api/terminals", "/api/kernelspecs",
                     "/api/status", "/api/config/x", "/api/me", "/api", "/terminals/1", "/nbextensions/x",
                     "/kernelspecs/python3/a.png",
                     "/voila/api/themes/x", "/voila/query/x", "/voila/execution/x", "/metrics", "/edit/x"):  # fmt: skip
            answer = served.ask(path, "ada", method=method, body=b"", Cookie="_xsrf=t", X_XSRFToken="t")
            assert answer.status == 404, (method, path)


# The kernels of Explore


@pytest.fixture(scope="module")
def kernel(served: Attacked) -> Iterator[str]:
    """A kernel that ada explores with."""
    found = served.explore("ada")
    yield found
    assert served.leave("ada", found).status == 204


def test_an_app_shows_no_source_no_environment_and_runs_no_script_of_its_content(served: Attacked, kernel: str) -> None:
    page = served.ask(f"{EXPLORE}?template=reveal&theme=dark&voila-template=reveal", "bob")
    assert "computed 42" in page.text
    assert "reveal" not in page.text
    for word in (SOURCE, SECRET, "WAREHOUSE_PASSWORD", "alert('from an output')", "Traceback", served.root.as_posix()):
        assert word not in page.text
    assert "unsafe-eval" not in page.headers["content-security-policy"]
    assert not list(served.root.rglob("harmed"))  # settings that lie where it starts are not read


def test_another_viewers_kernel_is_not_there(served: Attacked, kernel: str) -> None:
    for path in (f"/api/kernels/{kernel}", f"/api/kernels/{kernel}/channels"):
        assert served.ask(path, "bob").status == 404
    assert served.leave("bob", kernel).status == 404
    assert served.ask(f"/api/kernels/{kernel}", "ada").status == 200
    for method, path in (("DELETE", ""), ("POST", "/interrupt"), ("POST", "/restart"), ("PATCH", "")):
        answer = served.ask(f"/api/kernels/{kernel}{path}", "ada", method=method, Cookie="_xsrf=t", X_XSRFToken="t")
        assert answer.status in (404, 405)
    assert served.ask(f"/voila/api/shutdown/{kernel}", "ada", method="POST", body=b"").status == 403  # no _xsrf
    with pytest.raises(HTTPClientError, match="404"):
        now(served.connect(kernel, "bob"))


def test_a_page_of_another_site_reaches_no_kernel(served: Attacked, kernel: str) -> None:
    for origin in ("https://evil.example", "http://127.0.0.1:1", "null", f"http://{HOST}:{served.port}.evil.example"):
        with pytest.raises(HTTPClientError, match="403"):
            now(served.connect(kernel, "ada", Origin=origin))


def test_websockets_are_counted_and_end_with_the_session(served: Attacked, kernel: str) -> None:
    answer = login(served, served.tokens["ada"], X_Forwarded_For="198.51.100.99")
    session = answer.headers["set-cookie"].split(";")[0]
    form = {"Content_Type": "application/x-www-form-urlencoded", "method": "POST", "body": b"_xsrf=t"}
    sent = {"Origin": f"http://{HOST}:{served.port}", "Authorization": "none", "Cookie": session}

    async def opens() -> int | None:
        opened = [await served.connect(kernel, "ada", **sent) for _ in range(4)]
        with pytest.raises(HTTPClientError, match="429"):
            await served.connect(kernel, "ada", **sent)
        served.ask("/logout", Cookie=f"_xsrf=t; {session}", **form)
        await opened[0].write_message(written("comm_info_request", {}), binary=True)
        assert set(kinds(await heard(opened[0]))) <= {"status"}
        codes = [await left(one) for one in opened]
        return codes[0]

    assert now(opens()) == 1008


async def _sends(
    served: Attacked, kernel: str, *messages: str | bytes, packed: bool = True
) -> tuple[list[str], int | None]:
    """Send messages; return the types of those that come back and the code that the connection was closed with."""
    origin = {"Origin": f"http://{HOST}:{served.port}"}
    connection = await served.connect(kernel, "ada", packed=packed, **origin)
    await heard(connection, 0.1)
    for one in messages:
        await connection.write_message(one, binary=isinstance(one, bytes))
    answers = kinds(await heard(connection))
    return answers, await left(connection)


@pytest.mark.parametrize("packed", [True, False])
def test_a_handwritten_message_executes_nothing(served: Attacked, kernel: str, packed: bool) -> None:
    harmed = served.root / "harmed"
    code = {"code": f"open({str(harmed)!r}, 'w')", "silent": False, "user_expressions": {"a": "1"}, "cursor_pos": 1}
    for kind, channel in (
        ("execute_request", "shell"), ("execute_request", "control"), ("complete_request", "shell"),
        ("inspect_request", "shell"), ("history_request", "shell"), ("is_complete_request", "shell"),
        ("debug_request", "control"), ("shutdown_request", "control"), ("interrupt_request", "control"),
        ("create_subshell_request", "control"), ("input_reply", "stdin"), ("comm_msg", "control"),
        ("comm_msg", "iopub"),
    ):  # fmt: skip
        answers, closed = now(_sends(served, kernel, written(kind, code, channel, packed=packed), packed=packed))
        assert closed == 1008, kind
        assert set(answers) <= {"status"}
    assert any(one.get("reason") == "execute_request on shell" for one in served.visits())
    assert not harmed.exists()
    assert served.ask(f"/api/kernels/{kernel}", "ada").status == 200  # nor was it ended


def test_comms_reach_widgets_only(served: Attacked, kernel: str) -> None:
    for target in ("jupyter.widget", "matplotlib", "os.system", "", None, "jupyter.widget.control\x00", ["a"]):
        content = {"comm_id": "1", "target_name": target, "data": {"state": {}}, "target_module": "os"}
        answers, closed = now(_sends(served, kernel, written("comm_open", content)))
        assert (closed, set(answers) <= {"status"}) == (1008, True)
    unknown = written("comm_msg", {"comm_id": "nobody", "data": {"method": "update", "state": {"value": "x"}}})
    answers, closed = now(_sends(served, kernel, unknown, written("comm_info_request", {})))
    assert closed is None
    assert set(answers) == {"status", "comm_info_reply"}


def test_a_page_gets_all_widgets_at_once(served: Attacked, kernel: str) -> None:
    """A forked kernel knows the target too: a page that is refused it asks for each widget, one after another."""
    opens = written("comm_open", {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}})
    asks = written("comm_msg", {"comm_id": "c", "data": {"method": "request_states"}})
    answers, closed = now(_sends(served, kernel, opens, asks))
    assert closed is None
    assert (answers.count("comm_msg"), answers.count("comm_close")) == (1, 0)


def test_malformed_and_endless_messages_end_the_connection(served: Attacked, kernel: str) -> None:
    longest = written("comm_msg", {"comm_id": "x" * 200_000, "data": {}})
    nested = '{"channel": "shell", "header": ' + "[" * 50_000 + "]" * 50_000 + "}"
    for one, packed in ((b"", True), (b"\xff" * 64, True), (b"\x06" + b"\0" * 63, True), ("{}", True), ("{", False),
                        ("[]", False), ('{"header": {"msg_type": 1}, "channel": "shell"}', False), (nested, False),
                        (longest, True)):  # fmt: skip
        answers, closed = now(_sends(served, kernel, one, packed=packed))
        assert closed in (1008, 1009), one[:40]
        assert set(answers) <= {"status"}
    many = [written("comm_info_request", {}) for _ in range(700)]
    assert now(_sends(served, kernel, *many))[1] == 1008
    assert not served.failed_inside()


def test_a_failing_callback_tells_nothing_of_the_inside(served: Attacked, kernel: str) -> None:
    async def harms() -> list[str | bytes]:
        connection = await served.connect(kernel, "ada")
        found = await attacker.widgets(connection)
        chosen = next(comm for comm, state in found.items() if state.get("description") == "Which")
        for state in ({"index": 1}, {"index": 99}, {"index": "x"}, {"_options_labels": [SECRET]}, {"nothing": 1}):
            update = {"comm_id": chosen, "data": {"method": "update", "state": state, "buffer_paths": []}}
            await connection.write_message(written("comm_msg", update), binary=True)
        answers = await heard(connection)
        await left(connection)
        return answers

    answers = now(harms())
    assert {"comm_msg", "status"} >= set(kinds(answers))
    for word in ("the inside of a callback", "Traceback", "ValueError", served.root.as_posix()):
        assert not any(word in str(one) for one in answers)


def test_a_flood_starts_no_more_kernels_than_there_are_seats(served: Attacked, kernel: str) -> None:
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: served.ask(EXPLORE, "eve").status, range(200)))
    assert set(statuses) <= {200, 503}
    assert 1 <= statuses.count(200) <= 2  # of three seats one is ada's; eve has at most two
    full = served.ask(EXPLORE, "eve")
    assert full.status == 503
    assert full.headers["retry-after"]
    assert f"{BASE}/01_first.html" in full.text
    assert served.ask(f"{BASE}/01_first.html", "eve").status == 200  # the pages stay


# Requests


def test_what_is_asked_for_is_a_text_and_no_code(served: Attacked, kernel: str) -> None:
    wicked = "<script>alert(1)</script>__import__('os').system('touch harmed')../../etc/passwd\r\nX-A: b"
    answer = served.ask(f"/?q={quote(wicked)}", "ada")
    assert answer.status == 200
    assert "<script" not in answer.text
    assert "x-a" not in answer.headers
    sent = served.ask(f"{BASE}/01_first.html?period={quote(wicked)}", "ada")  # a view of the page is the app's
    assert (sent.status, sent.headers["location"]) == (302, f"{EXPLORE}?period={quote(wicked)}")
    assert "x-a" not in sent.headers
    assert not list(served.root.rglob("harmed"))


def test_malformed_requests_are_answered_with_400_or_left(served: Attacked) -> None:
    head = f"Host: {HOST}\r\nAuthorization: Bearer {served.tokens['ada']}\r\n".encode()
    for request in (
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /%ff%fe HTTP/1.1\r\n" + head + b"\r\n", b"GET /?q=%ff HTTP/1.1\r\n" + head + b"\r\n",
        b"POST / HTTP/1.1\r\n" + head + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\n" + head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\rb\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n", b"TRACE / HTTP/1.1\r\n" + head + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):  # fmt: skip
        answer = served.raw(request, wait=0.4)
        assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"401", b"403", b"404", b"405"), (
            request,
            answer[:99],
        )
        assert b"Traceback" not in answer
    assert served.ask("/", "ada").status == 200
    assert not served.failed_inside()


def test_oversized_requests_are_refused(served: Attacked) -> None:
    form = {"method": "POST", "Content_Type": "application/x-www-form-urlencoded", "Connection": "close"}
    assert served.ask("/login", body=b"token=" + b"x" * 70_000, **form).status == 413
    head = f"POST /login HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    assert b" 413 " in served.raw(head + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 1000, wait=1).splitlines()[0]
    chunked = (
        head + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 65535 + b"\r\n" + b"ffff\r\n" + b"x" * 65535
    )
    assert served.raw(chunked, wait=1)[:12] in (b"", b"HTTP/1.1 400")
    assert served.ask("/" + "x" * 5_000, "ada").status == 414
    many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(400))
    assert served.raw(b"GET / HTTP/1.1\r\n" + many + b"\r\n", wait=1)[:12] in (b"", b"HTTP/1.1 400")
    assert served.ask("/", "ada").status == 200


def test_who_asks_too_often_waits_and_nobody_else_does(served: Attacked) -> None:
    one = f"GET /health HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {served.tokens['eve']}\r\n\r\n".encode()
    answers = served.raw(one * 1299 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert 20 <= answers.count(b"HTTP/1.1 429") <= 600
    assert answers.count(b"Retry-After:") == answers.count(b"HTTP/1.1 429")
    assert served.ask("/", "ada").status == 200


@pytest.mark.parametrize("method", ["FOO", "TRACE", "OPTIONS", "PREPARE", "FINISH", "get"])
def test_a_method_that_nobody_knows_comes_by_the_door(served: Attacked, method: str) -> None:
    assert served.ask("/", "ada", method=method, Host="evil.example").status == 403
    assert served.ask("/", method=method, source="127.0.0.6").status == 401
    assert served.ask("/", "ada", method=method).status == 405


def test_nobody_fills_the_log_nor_keeps_a_watch_from_its_answer(served: Attacked) -> None:
    address = "127.0.0.5"
    one = f"FOO / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    answers = served.raw(one * 1299 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), source=address)
    assert answers.count(b"HTTP/1.1 401") + answers.count(b"HTTP/1.1 429") == 1300
    assert served.ask("/", source=address).status in (401, 429)
    assert served.ask("/health", source=address).status == 200
    told = [line for line in served.visits() if line["address"] == address]
    assert 1 <= len(told) <= 4  # a line a minute of each kind
    assert all(line["ms"] < 60_000 for line in told)


def test_the_audit_log_says_who_and_why_and_keeps_no_secret(served: Attacked) -> None:
    served.ask(f"{BASE}/?token={served.tokens['bob']}", "bob", Cookie="cx=a-session")
    served.ask("/none", "bob")
    deadline = time.monotonic() + 10
    while served.visits()[-1]["path"] != "/none":  # a line is written when its answer has been sent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = (served.root / "logs" / "serve.log.jsonl").read_text(encoding="utf-8")
    assert not any(token in text for token in served.tokens.values())
    assert "a-session" not in text
    seen = served.visits()
    last = seen[-2]
    assert (last["viewer"], last["path"], last["status"], last["address"]) == ("bob", f"{BASE}/", 200, HOST)
    assert {"names a host that is not ours", "not for this viewer", "asked too often", "a wrong token"} <= {
        one.get("reason") for one in seen
    }


# Parameters


def test_names_and_tags_of_parameters_are_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = toy.with_snapshot(toy.workspace(tmp_path))
    monkeypatch.chdir(root)
    harm = "__import__('os').system('touch harmed')"
    for given in (
        f"x;{harm}=1",
        f"{harm}=1",
        "size;import os=1",
        "size=1\nimport os=2",
        "__class__=1",
        "run_folder=/etc",
    ):
        done = CliRunner().invoke(main, ["run", "toy", "--force", "-p", given])
        assert done.exit_code == 2, (given, done.output)
    for tagged in (
        f"company: !!python/object/apply:os.system ['{harm}']",
        f"company: !!python/object/new:type [{harm}]",
    ):
        (root / "params" / "workspace.yml").write_text(tagged, encoding="utf-8")
        assert CliRunner().invoke(main, ["check"]).exit_code != 0
    assert not list(root.rglob("harmed"))
