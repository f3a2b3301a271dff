"""The files of `params/`, read one by one: what each holds, and every fault that it has by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from cxlib.params import yamltext
from cxlib.params.base import Model
from cxlib.params.codebook import Codebook
from cxlib.params.faults import Fault, key_of, model_in, none_of, translate
from cxlib.params.models import (
    DriverModel,
    Experiment,
    Framework,
    Metric,
    Register,
    Report,
    Segment,
    Source,
    Taxonomy,
    Workspace,
)
from cxlib.params.watching import Watch

SINGLES: dict[str, type[Model]] = {
    "workspace": Workspace,
    "touchpoints": Taxonomy,
    "framework": Framework,
    "changes": Register,
    "codebook": Codebook,
    "watch": Watch,
}
FOLDERS: dict[str, type[Model]] = {
    "metrics": Metric,
    "segments": Segment,
    "sources": Source,
    "reports": Report,
    "experiments": Experiment,
    "drivers": DriverModel,
}
# Keys whose entries stand under their ids.
_KEYED = {
    Taxonomy: "touchpoints", Register: "changes", Codebook: "themes", DriverModel: "drivers", Watch: "signals",
}  # fmt: skip
_ID = re.compile(r"[a-z][a-z0-9_]*")
_YAML = (".yml", ".yaml")


@dataclass
class Entry:
    """One file: its path from the workspace, its text, and its object (with None where a key is at fault)."""

    file: str
    text: yamltext.Text
    content: Any = None
    path: Path = Path()


@dataclass
class Draft:
    """All files of one `params/`, and the faults found so far."""

    root: Path
    singles: dict[str, Entry] = field(default_factory=dict)
    folders: dict[str, dict[str, Entry]] = field(default_factory=lambda: {name: {} for name in FOLDERS})
    faults: list[Fault] = field(default_factory=list)

    def blame(self, entry: Entry, path: yamltext.Path_, message: str, value: str = "") -> None:
        """Note a fault of one key of one file."""
        self.faults.append(Fault(entry.file, key_of(path), value, message, entry.text.line(path)))

    def blame_file(self, path: Path, message: str) -> None:
        """Note a fault of a file or folder as such."""
        self.faults.append(Fault(path.relative_to(self.root).as_posix(), "", "", message))


def read(root: Path) -> Draft:
    """Read every file under `root`/params; faults are collected, never raised."""
    draft = Draft(root)
    folder = root / "params"
    for path in _visible(folder):
        if path.is_dir():
            _read_folder(draft, path)
        elif path.suffix in _YAML:
            _read_single(draft, path)
    if "workspace" not in draft.singles:
        draft.blame_file(folder / "workspace.yml", "is missing: it names the company, the timezone and the currency")
    return draft


def _visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, in order, without hidden files."""
    return sorted(path for path in folder.iterdir() if path.name[0] not in "._") if folder.is_dir() else []


def _read_single(draft: Draft, path: Path) -> None:
    """Read one of the files that exist once."""
    if path.stem not in SINGLES:
        draft.blame_file(path, none_of(path.stem, SINGLES, "the files of params/:"))
    elif path.stem in draft.singles:
        draft.blame_file(path, f"stands beside {draft.singles[path.stem].file}: keep one")
    else:
        draft.singles[path.stem] = _read_entry(draft, path, SINGLES[path.stem], "")


def _read_folder(draft: Draft, folder: Path) -> None:
    """Read the files of one kind; a source is a folder of its own."""
    if folder.name not in FOLDERS:
        draft.blame_file(folder, none_of(folder.name, FOLDERS, "the folders of params/:"))
        return
    taken: dict[str, str] = {}
    # Proper ids first, so that NPS.yml is told to stand beside nps.yml and not the other way round.
    for path in sorted(_visible(folder), key=lambda path: (not _ID.fullmatch(path.stem), path.name)):
        place = _source_file(draft, path) if folder.name == "sources" else path
        if place is None or (path.suffix not in _YAML and place == path):
            continue
        name = path.name if folder.name == "sources" else path.stem
        if name.lower() in taken:
            draft.blame_file(place, f"the id '{name.lower()}' is already taken by {taken[name.lower()]}: keep one")
            continue
        if not _ID.fullmatch(name):
            draft.blame_file(place, f"'{name}' is not an id: small letters, digits and _, a letter first")
        entry = _read_entry(draft, place, FOLDERS[folder.name], name)
        taken[name.lower()] = entry.file
        draft.folders[folder.name][name] = entry


def _source_file(draft: Draft, path: Path) -> Path | None:
    """Return the `source.yml` of a source's folder; say so where there is none."""
    if not path.is_dir():
        if path.suffix in _YAML:
            draft.blame_file(path, f"a source is a folder: move this to {path.stem}/source.yml")
        return None
    found = [path / f"source{suffix}" for suffix in _YAML if (path / f"source{suffix}").is_file()]
    if not found:
        draft.blame_file(path / "source.yml", "is missing: it describes the files of this source")
    return found[0] if found else None


def _read_entry(draft: Draft, path: Path, model: type[Model], name: str) -> Entry:
    """Read one file and build its object."""
    text = yamltext.read(path)
    entry = Entry(path.relative_to(draft.root).as_posix(), text, path=path)
    for where, value, message in text.faults:
        draft.blame(entry, where, message, value)
    if text.data is None:
        return entry
    data = _with_ids(draft, entry, model, name)
    try:
        entry.content = model.model_validate(data)
    except ValidationError as error:
        for where, value, message in translate(error, model, data):
            draft.blame(entry, where, message, value)
        entry.content = _salvage(model, data)
    return entry


def _with_ids(draft: Draft, entry: Entry, model: type[Model], name: str) -> dict[str, Any]:
    """Return the data with each `id` filled in from its place; an id that is written down is a fault."""
    data = dict(entry.text.data)
    if "id" in model.model_fields:
        data["id"] = _own_id(draft, entry, data, (), name)
    key = _KEYED.get(model, "")
    if isinstance(data.get(key), dict):
        data[key] = dict(data[key])
        for under, fields in data[key].items():
            if not _ID.fullmatch(under):
                draft.blame(entry, (key, under), f"'{under}' is not an id: small letters, digits and _, a letter first")
            if isinstance(fields, dict):
                data[key][under] = fields | {"id": _own_id(draft, entry, fields, (key, under), under)}
    return data


def _own_id(draft: Draft, entry: Entry, data: dict[str, Any], path: yamltext.Path_, name: str) -> str:
    """Return the id that an entry has from its place."""
    if "id" in data:
        what = "the key it stands under" if path else "the file's name"
        draft.blame(entry, (*path, "id"), f"the id is {what}, '{name}': leave this key out", str(data["id"]))
    return name


def _salvage(model: type[Model], data: dict[str, Any]) -> Any:
    """Build what can be built of a faulty entry, so that its other keys are still checked: faulty keys become None."""
    values: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        given = data.get(name, "")
        if given == "":
            values[name] = None if info.is_required() else info.get_default(call_default_factory=True)
            continue
        try:
            whole: Any = Annotated[info.annotation, info]
            values[name] = TypeAdapter(whole).validate_python(given)
        except ValidationError:
            values[name] = _salvage_below(info.annotation, given)
    return model.model_construct(set(data), **values)


def _salvage_below(annotation: Any, given: Any) -> Any:
    """Salvage what lies below a key: a model, or the models in a list or under keys."""
    inner = model_in(annotation)
    if isinstance(inner, type) and issubclass(inner, Model):
        return _salvage(inner, given) if isinstance(given, dict) else None
    kinds = [kind for kind in map(model_in, get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Model)]
    if not kinds:
        return None
    if get_origin(annotation) is dict and isinstance(given, dict):
        return {key: _salvage(kinds[0], value) for key, value in given.items() if isinstance(value, dict)}
    if get_origin(annotation) is tuple and isinstance(given, list):
        return tuple(_salvage(kinds[0], value if isinstance(value, dict) else {}) for value in given)
    return None
