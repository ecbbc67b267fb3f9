"""judge: learn a tracker's judge, tell what it is worth, and which crops to look at next. Learning is in judge."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from lora_assets.addresses import pages_url
from lora_assets.cli.console import print_table
from lora_assets.cli.project import enter_project
from lora_assets.cli.status import tracker_with_crops
from lora_assets.judge.judging import least_sure_order
from lora_assets.judge.kept import judge_to_json
from lora_assets.judge.learning import JudgeSettings
from lora_assets.judge.making import MadeJudge, judge_tracker, make_judge
from lora_assets.specs import SpecError
from lora_assets.store import Store
from lora_assets.verdicts import open_log
from lora_assets.verdicts.log import keep_backup


def judge(
    tracker: Annotated[str, typer.Option(help="ID of the tracker.")],
    least_sure: Annotated[int, typer.Option(min=0, help="Also list so many unmarked crops to look at next.")] = 0,
    least_of_each: Annotated[
        int, typer.Option(help="Good and bad verdicts from which on it may be active.")
    ] = JudgeSettings().least_of_each,
    unsure_band: Annotated[
        float, typer.Option(help="It abstains where P(good) is nearer to 0.5 than this.")
    ] = JudgeSettings().unsure_band,
    seed: Annotated[int, typer.Option(help="Seed of folds and intervals.")] = JudgeSettings().seed,
    as_json: Annotated[bool, typer.Option("--json", help="The judge with its report and model as JSON.")] = False,
) -> None:
    """Learn what you call good from your verdicts, and see whether that is better than the rules."""
    project = enter_project()
    store = Store(project.data)
    tracker_with_crops(store, tracker)
    try:
        settings = JudgeSettings(seed=seed, least_of_each=least_of_each, unsure_band=unsure_band)
    except ValueError as error:
        raise SpecError(str(error)) from error
    with open_log(project.data) as log:
        made = make_judge(store, log, tracker, settings)
        keep_backup(log)
    if as_json:
        typer.echo(json.dumps(judge_to_json(made.judge), ensure_ascii=False, indent=1))
        return
    _tell(made)
    if least_sure:
        _tell_next(store, tracker, made, least_sure)


def _tell(made: MadeJudge) -> None:
    report = made.judge.report
    typer.echo(report.reason)
    if report.comparison:
        rows = [
            [rules.tier, rules.crops, rules.precision, rules.recall, judge.crops, judge.precision, judge.recall]
            for rules, judge in zip(report.rules_tiers, report.judge_tiers, strict=True)
        ]
        shown = [["" if cell is None else cell for cell in row] for row in rows]
        names = ["tier", "rules: crops", "precision", "recall", "judge: crops", "precision", "recall"]
        print_table(names, shown, "tiers of the judged crops, by judges that had not seen their shots")
    for effect in report.effects:
        typer.echo(f"- {effect.words}")
    if lost := made.matching.unmatched:
        typer.echo(f"{len(lost)} verdicts apply to no crop: lora-assets verdicts list --tracker NAME says why")
    typer.echo(f"model and report: {made.path}, {made.picture}")


def _tell_next(store: Store, tracker: str, made: MadeJudge, count: int) -> None:
    marked = made.matching.by_crop()
    said = {crop: one for crop, one in judge_tracker(store, tracker).items() if crop not in marked}
    names = list(said)
    order = least_sure_order(list(said.values()))[:count]
    rows = [[names[i], said[names[i]].p_good, said[names[i]].abstained or "", said[names[i]].tier] for i in order]
    page = f"{pages_url(store.data)}/tracker/{tracker}"
    none = f"nothing to look at next: the judge knows nothing yet. Mark some crops on {page}"
    print_table(["crop", "P(good)", "abstains", "tier"], rows, "look at these next", if_none=none)


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(judge)
