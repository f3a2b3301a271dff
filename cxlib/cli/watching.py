"""The command that looks between reports: `cx watch`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cxlib.cli import terminal
from cxlib.cli.making import AS_OF_HELP
from cxlib.errors import AlarmError

if TYPE_CHECKING:
    from cxlib.reports.watching import Alarm, Found


@click.command()
@click.option("--as-of", default="", help=AS_OF_HELP)
@click.option(
    "--every", type=click.FloatRange(min=0, min_open=True), default=None, metavar="MINUTES",
    help="Go on looking, after so many minutes each time, until interrupted.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Print the alarms that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of sentences.")
@click.option("--exit-code", is_flag=True, help=f"End with {AlarmError.exit_code} where there is a new alarm.")
def watch(as_of: str, every: float | None, everything: bool, as_json: bool, exit_code: bool) -> None:
    """Look at the signals of watch.yml up to the last whole day, and raise alarms.

    Look as often as you like: all signals together give a false alarm less than once in the years that watch.yml
    states, as long as days differ by chance. What has a season of its own, or goes up and down for weeks, raises more:
    state with `matters` how much worse is worth an alarm. An alarm is new once; data/watch.json knows which were told.
    """
    root = terminal.workspace()
    with terminal.ended_by_sigterm():
        while True:
            new = _once(root, as_of, everything=everything, as_json=as_json)
            if every is None:
                break
            time.sleep(60 * every)
    if new and exit_code:
        raise AlarmError(f"{new} new alarm{'' if new == 1 else 's'}", hint="cx watch --all shows them again.")


def _once(root: Path, as_of: str, *, everything: bool, as_json: bool) -> int:
    """Look once, print, and note what was told; return how many alarms are new."""
    from cxlib import params
    from cxlib.reports import watching

    found_params = params.load(root)
    if not found_params.watch.signals:
        click.echo("params/watch.yml names no signal to look at.")
        return 0
    snapshot, found, alarms = watching.watch(root, found_params, as_of)
    told = [one for one in alarms if everything or one.new or one.ended is None]
    if as_json:
        for one in told:
            click.echo(json.dumps(_fields(one, snapshot)))
    else:
        for line in _sentences(snapshot, found, told, found_params.workspace.locale):
            click.echo(line)
    watching.remember(root, alarms)
    return sum(one.new for one in alarms)


def _fields(alarm: Alarm, snapshot: str) -> dict[str, object]:
    """Return an alarm as JSON has it."""
    return {
        "signal": alarm.signal.id, "title": alarm.signal.title, "owner": alarm.signal.owner, "new": alarm.new,
        "began": str(alarm.began), "noticed": str(alarm.noticed), "ended": str(alarm.ended) if alarm.ended else None,
        "delay_days": alarm.delay, "share": None if alarm.share is None else round(alarm.share, 4),
        "usual_at_most": round(alarm.usual, 4), "n": alarm.n if alarm.share is not None else None, "snapshot": snapshot,
    }  # fmt: skip


def _sentences(snapshot: str, found: list[Found], alarms: list[Alarm], locale: str) -> list[str]:
    """Return the alarms, and what every signal would notice, in sentences."""
    lasts = sorted({one.last for one in found if one.last})
    until = f" up to {lasts[-1]}" if lasts else ""
    out = [f"{len(found)} signals{until}, snapshot {snapshot}: {_counted(alarms)}"]
    out += [_told(one) for one in alarms]
    going = {one.signal.id for one in alarms if one.ended is None}
    for one in found:
        if one.signal.id in going:
            continue
        late = f" (no whole day since {one.last})" if one.last and one.last < lasts[-1] else ""
        out.append(f"  quiet: {one.signal.title}{late}: {one.reason or one.soon(locale)}")
    return out


def _counted(alarms: list[Alarm]) -> str:
    new = sum(one.new for one in alarms)
    going = sum(one.ended is None for one in alarms)
    return f"{new or 'no'} new alarm{'' if new == 1 else 's'}, {going or 'none'} going on"


def _told(alarm: Alarm) -> str:
    """Return an alarm as a sentence."""
    how = (
        f"{100 * alarm.share:.1f} % of {alarm.n:,} against {100 * alarm.usual:.1f} % at most"
        if alarm.share is not None
        else "on too few customers to show numbers"
    )
    over = f", over since {alarm.ended}" if alarm.ended else ""
    days = "on the same day" if alarm.delay == 1 else f"after {alarm.delay} days"
    mark = "NEW ALARM" if alarm.new else "alarm"
    return (
        f"{mark}: {alarm.signal.title}: since {alarm.began}{over}, {how}; noticed {days}, on {alarm.noticed}. "
        f"Tell: {alarm.signal.owner}."
    )
