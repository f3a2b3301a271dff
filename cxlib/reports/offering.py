"""What a page offers beneath its tables and figures: links to the files that the run wrote beside it.

While recording the files are written. A replay links to those of the published report; what it shows beyond them (a
filtered table, say) goes into the link itself. While exploring in JupyterLab there is nothing to link to.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.periods import Period
from cxlib.reports import downloads
from cxlib.reports.build import moment
from cxlib.reports.context import Context
from cxlib.reports.disclosure import small
from cxlib.reports.downloads import FIGURES, TABLES, Source
from cxlib.reports.inputs import Frozen
from cxlib.show.formats import Format
from cxlib.show.markup import FIGURE, Html

# From /explore/PACK/PERIOD/NAME, and from the notebook's own folder, to the published report, whatever stands before.
_PUBLISHED = "../../../reports/{pack}/{period}/"


@dataclass
class Offers:
    """The downloads of one notebook's page."""

    context: Context
    frozen: Frozen
    _taken: dict[str, bytes] = field(default_factory=dict)

    def table(self, html: str, name: str = "") -> str:
        """Return the HTML of a table with its links; any other HTML as it is, but none while recording."""
        if self.frozen.recording:
            self._publishable(html)
        folder = self.frozen.run_folder
        if not isinstance(html, Html) or html.grid is None or folder is None:
            return html
        source = source_of(self.context)
        content = {"csv": downloads.table_csv(html, source)}
        if self.frozen.recording:
            stem = self._stem(name or html.heading, content["csv"])
            content["xlsx"] = downloads.table_workbook(html, source)
            write(folder / TABLES, stem, content)
            return downloads.inside(html, _links(f"{TABLES}/{stem}", html.heading))
        stem = self._written(folder / TABLES, name or html.heading, content["csv"])
        if stem:
            return downloads.inside(html, _links(f"{self._beside(folder)}{TABLES}/{stem}", html.heading))
        return carried(html, self.context, name)

    def _publishable(self, html: str) -> None:
        """Refuse a table that does not carry its rows, and one with rows of too few customers."""
        if not isinstance(html, Html) or (html.grid is None and not html.startswith(f'<figure class="{FIGURE}">')):
            raise UsageError(
                "run.table got HTML that does not carry its rows, so nobody can tell how many people it is about",
                hint="Make the table with cx.tables from a result frame; words and notes go into Markdown cells.",
            )
        known, space = self.context.described, self.context.workspace
        min_n = {name: self.context.least(metric) for name, metric in known.items()}
        few = small.told(small.small(results.conform(pd.DataFrame(html.rows)), min_n, space.min_n)) if html.rows else []
        if few:
            told = "\n  ".join(few)
            raise UsageError(
                f"the table '{html.heading}' shows too few people:\n  {told}",
                hint="Make its numbers with run.measure, which hides such cells, or pool their levels.",
            )

    def figure(self, html: str, name: str, title: str, picture: bytes | None = None) -> str:
        """Return the HTML of a figure with its links; `picture` is its PNG, for a figure that has no file."""
        folder = self.frozen.run_folder
        if folder is None:
            return html
        path = f"{FIGURES}/{self.frozen.notebook}-{name}"
        if self.frozen.recording or (folder / f"{path}.png").is_file():
            before = "" if self.frozen.recording else self._beside(folder)
            found = {"PNG": f"{before}{path}.png", "SVG": f"{before}{path}.svg"}
            return downloads.inside(html, downloads.links(found, title))
        files = {"PNG": (f"{downloads.slug(name)}.png", picture)} if picture else {}
        return downloads.inside(html, downloads.inline(files, title)) if files else html

    def _stem(self, title: str, content: bytes) -> str:
        """Return the name of a table's files: no other table of the notebook has it, a table shown twice has one."""
        first = f"{self.frozen.notebook}-{downloads.slug(title)}"
        names = (first, *(f"{first}-{n}" for n in range(2, 1000)))
        return next(name for name in names if self._taken.setdefault(name, content) == content)

    def _written(self, folder: Path, title: str, content: bytes) -> str:
        """Return the name of the published files that hold a table; '' where none is exactly it."""
        first = f"{self.frozen.notebook}-{downloads.slug(title)}"
        for path in sorted(folder.glob(f"{first}*.csv")):
            try:
                if path.read_bytes() == content:
                    return path.stem
            except OSError:  # a kernel that may not read there
                return ""
        return ""

    @staticmethod
    def _beside(folder: Path) -> str:
        whole = folder.absolute()  # a replay's folder may be the working one
        return _PUBLISHED.format(pack=whole.parent.name, period=whole.name)


def carried(html: str, context: Context, name: str = "") -> str:
    """Return the HTML of a table with links that hold its files: for a view that no run has written."""
    if not isinstance(html, Html) or html.grid is None:
        return html
    source, stem = source_of(context), downloads.slug(name or html.heading)
    files = {
        "CSV": (f"{stem}.csv", downloads.table_csv(html, source)),
        "Excel": (f"{stem}.xlsx", downloads.table_workbook(html, source)),
    }
    return downloads.inside(html, downloads.inline(files, html.heading))


def write(folder: Path, stem: str, content: dict[str, bytes]) -> None:
    """Write the files of a download, `content` by their suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, held in content.items():
        (folder / f"{stem}.{suffix}").write_bytes(held)


def _links(path: str, title: str) -> str:
    return downloads.links({"CSV": f"{path}.csv", "Excel": f"{path}.xlsx"}, title)


@functools.cache
def _code() -> str:
    """Return what computed the numbers; a kernel that may read little may not know its version."""
    try:
        return f"cxlib {metadata.version('cxlib')}"
    except (metadata.PackageNotFoundError, OSError):
        return "cxlib"


def source_of(context: Context) -> Source:
    """Return where the numbers of a run come from."""
    space, experiment = context.workspace, context.experiments.get(context.experiment)
    about = experiment.title if experiment else Period.parse(context.period).title
    facts = {
        "Company": space.company,
        "Report": context.report.title,
        "Period": about,
        "Data": f"snapshot {context.snapshot} of {moment(context.created_at)}",
        "Code": _code(),
        "Small groups": f"below {space.min_n} customers no number is shown; metrics may ask for more",
        "To know": " ".join(context.warnings),
    }
    return Source(space.company, Format(context.currency, space.locale), facts, context.described)
