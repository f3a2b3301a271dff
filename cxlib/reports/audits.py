"""The labels of an audit of the codebook: company data, `data/audits/<version of the codebook>.csv` of the workspace.

One row per text and rater: `response_id` (of an answer, or the id of an interaction), a column per theme that was
judged (yes or no, 1 or 0, blank), perhaps `rater` and `weight` as `Run.audit_sample` gave it; without a column `weight`
all texts count alike. Any other column is refused: texts stay in the store, where a person without consent, or erased,
is found no more, and the label counts no more. A codebook of another version has other errors, so its audit is not
taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import params as parameters
from cxlib.data.labelled import AUDITS, KEY
from cxlib.errors import UsageError, did_you_mean
from cxlib.reports import bring
from cxlib.reports.execute import WORKSPACE
from cxlib.reports.inputs import Inputs

RATER, WEIGHT = "rater", "weight"
_HINT = (
    f"Leave the texts out, they stay in the store; keep {KEY}, {RATER}, {WEIGHT} as it was drawn, and yes, no or "
    "nothing for each theme."
)
_SHOWN = 5  # lines that are named


class Audit(NamedTuple):
    """Texts that people labelled, by their id: what the codebook says, what is true (theme titles), weights if any."""

    predicted: pd.DataFrame
    true: pd.DataFrame
    weight: pd.Series | None
    labelled: int  # texts in the file; those that are not in the store up to the run's period are in it alone


def audited(inputs: Inputs) -> Audit | None:
    """Return the audit of the codebook in use; None where nobody has labelled anything.

    Raises
    ------
    UsageError
        With the file, for one that cannot be read, and with all that is wrong in it.
    """
    path = _path(inputs)
    return inputs.once(f"audit {path}", lambda: _read(inputs, path)) if path else None


def _path(inputs: Inputs) -> Path | None:
    """Return the file of labels, where there is one."""
    if inputs.frozen.published:
        return None
    named = os.environ.get(WORKSPACE)
    root = parameters.find_workspace(Path(named) if named else None)
    path = root / AUDITS / f"{inputs.context.codebook_version}.csv"
    return path if path.is_file() else None


def _read(inputs: Inputs, path: Path) -> Audit | None:
    from cxlib.analysis import voice

    themes = inputs.context.themes
    table, by_rater = labels(path, themes)
    if table.empty:
        return None
    true = voice.settled(by_rater)
    texts = _texts(inputs, true.index.tolist())
    predicted = voice.code(texts["text"], inputs.context.codebook, languages=texts["language"])
    titles = {name: themes[name].title for name in true.columns}
    weight = None
    if WEIGHT in table:
        weight = table[WEIGHT].astype("float64").groupby(table[KEY]).first().reindex(texts.index)
    return Audit(
        predicted[true.columns].rename(columns=titles).astype("float64"),
        true.reindex(texts.index).rename(columns=titles).astype("float64"), weight, len(true),
    )  # fmt: skip


def labels(path: Path, themes: Iterable[str]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Return a file of labels as it stands, and the labels by rater as `voice.labels` reads them.

    Raises
    ------
    UsageError
        With the file and everything that is wrong in it.
    """
    from cxlib.analysis import voice

    file, known = f"{AUDITS}/{path.name}", list(themes)
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        raise UsageError(f"{file} cannot be read: {type(error).__name__}", hint="Save it as CSV in UTF-8.") from None
    table = table.replace(r"^\s*$", None, regex=True).dropna(how="all")
    allowed = [name for name in table.columns if name in (KEY, RATER, WEIGHT, *known)]
    strange = [name for name in map(str, table.columns) if name not in allowed]
    faults = [f"column '{one}' is neither {KEY}, {RATER}, {WEIGHT} nor one of the themes{did_you_mean(one, known)}"
              for one in strange] + _weightless(table)  # fmt: skip
    found: dict[str, pd.DataFrame] = {}
    try:
        found = voice.labels(table[allowed], known, key=KEY)
    except UsageError as error:
        faults.append(error.message)
    if faults:
        raise UsageError(f"{file}: {'; '.join(faults)}", hint=_HINT)
    return table, found


def _weightless(table: pd.DataFrame) -> list[str]:
    """Say how many weights are none, and in which lines."""
    if WEIGHT not in table:
        return []
    numbers = pd.to_numeric(table[WEIGHT], errors="coerce")
    lines = [str(place + 2) for place in table.index[~((numbers > 0) & np.isfinite(numbers))]]
    more = f" and {len(lines) - _SHOWN:,} more" if len(lines) > _SHOWN else ""
    told = f"{len(lines):,} of {len(table):,} weights are no numbers above 0: line {', '.join(lines[:_SHOWN])}{more}"
    return [told] if lines else []


def _texts(inputs: Inputs, ids: list[str]) -> pd.DataFrame:
    """Return the redacted texts of some ids, whenever they were written up to the run's period."""
    from cxlib.analysis import voice
    from cxlib.analysis.voice.verbatims import verbatims

    until = bring.own(inputs).bounds(inputs.context.workspace.timezone)[1]
    plan = verbatims(inputs.store().tables, start=datetime(1900, 1, 1), until=until)
    found = bring.fetch(inputs, plan.filter(plan.verbatim_id.isin(ids)).select("verbatim_id", "text", "language"))
    clean = found.assign(text=voice.redact_series(found["text"]))
    return clean.drop_duplicates("verbatim_id").set_index("verbatim_id")
