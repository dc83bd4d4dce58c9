"""Everything that a report of an exception could show, locals of our frames included."""

import traceback
from pathlib import Path

STORE = str(Path(__file__).parents[1] / "store")


def all_that_shows(error: BaseException) -> str:
    """Its words and attributes, those of what it came from, and the locals of the store's frames.

    Frames of the tests are left out: they know the secret.
    """
    shown = []
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.StackSummary.extract(
            traceback.walk_tb(seen.__traceback__), capture_locals=True
        )
        ours = [frame for frame in frames if frame.filename.startswith(STORE)]
        shown += [repr(seen), str(seen), repr(seen.args), repr(vars(seen))]
        shown += [f"{frame.name} {frame.locals}" for frame in ours]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)
