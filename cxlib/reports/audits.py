"""The labels of an audit of the codebook: company data, `data/audits/<version of the codebook>.csv` of the workspace.

One row per text and rater: `response_id` (of an answer, or the id of an interaction), a column per theme that was
judged (yes or no, 1 or 0, blank), perhaps `rater` and `weight` as `voice.audit_sample` gave it. Texts stay in the
store: a person without consent, or erased, is found there no more, and the label counts no more. A codebook of another
version has other errors, so its audit is not taken.
"""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cxlib import params as parameters
from cxlib.errors import UsageError
from cxlib.reports import bring
from cxlib.reports.execute import WORKSPACE
from cxlib.reports.inputs import Inputs
from cxlib.reports.places import AUDITS

KEY, WEIGHT = "response_id", "weight"


class Audit(NamedTuple):
    """Texts that people labelled, by their id: what the codebook says, what is true (theme titles), weights if any."""

    predicted: pd.DataFrame
    true: pd.DataFrame
    weight: pd.Series | None


def digest(inputs: Inputs) -> str:
    """Return a hash of the labels, as a word of an answer's key; '' where there are none."""
    path = _path(inputs)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path else ""


def audited(inputs: Inputs) -> Audit | None:
    """Return the audit of the codebook in use; None where there is none, or no labelled text is left.

    Raises
    ------
    UsageError
        For a file that cannot be read.
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
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False).replace("", None)
    except (ValueError, OSError) as error:
        raise UsageError(f"{AUDITS}/{path.name} cannot be read: {type(error).__name__}") from None
    true = voice.settled(voice.labels(table, themes, key=KEY))
    texts = _texts(inputs, true.index.tolist())
    if texts.empty:
        return None
    predicted = voice.code(texts["text"], inputs.context.codebook, languages=texts["language"])
    titles = {name: themes[name].title for name in true.columns}
    weight = None
    if WEIGHT in table:
        numbers = pd.to_numeric(table[WEIGHT], errors="coerce").groupby(table[KEY]).first()
        weight = numbers.reindex(texts.index).fillna(1.0)
    return Audit(
        predicted[true.columns].rename(columns=titles).astype("float64"),
        true.reindex(texts.index).rename(columns=titles).astype("float64"), weight,
    )  # fmt: skip


def _texts(inputs: Inputs, ids: list[str]) -> pd.DataFrame:
    """Return the redacted texts of some ids, whenever they were written up to the run's period."""
    from cxlib.analysis import voice
    from cxlib.analysis.voice.verbatims import verbatims

    until = bring.own(inputs).bounds(inputs.context.workspace.timezone)[1]
    plan = verbatims(inputs.store().tables, start=datetime(1900, 1, 1), until=until)
    found = bring.fetch(inputs, plan.filter(plan.verbatim_id.isin(ids)).select("verbatim_id", "text", "language"))
    clean = found.assign(text=voice.redact_series(found["text"]))
    return clean.drop_duplicates("verbatim_id").set_index("verbatim_id")
