"""``uniemo play``: the local page."""

from uniemo.cli.pictures import command_parser, open_pipeline
from uniemo.emotions import Emotions


def main(arguments: list[str]) -> None:
    """Serve the page until it is interrupted."""
    parser = command_parser(
        "play",
        "Open a page on this machine: read photos, paint, blend and edit. Nothing leaves the "
        "machine, and no other machine can open the page.",
        ["", "--run runs/my-run --port 8000"],
    )
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    given = parser.parse_args(arguments)
    # Here, because a plain install, which lacks the extra's packages, should show the help too.
    from uniemo.app.page import build_page, launch
    from uniemo.app.work import Studio
    from uniemo.evaluation.judge import shipped_judge

    pipe = open_pipeline(given)
    judge = shipped_judge() if pipe.emotions == Emotions() else None
    launch(build_page(Studio(pipe, judge)), given.port)
