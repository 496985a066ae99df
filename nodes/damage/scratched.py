"""How surely a part of a line is a scratch, from how it behaves from frame to frame."""

from __future__ import annotations

from safelight.nodes.damage import uprights
from safelight.nodes.damage.behaviour import Behaviour, Verdict
from safelight.nodes.damage.uprights import Line

LEAST = 11.0
"""Score of a line at sensitivity 1. Of white noise no 1080p frame in a hundred has one."""
ALONE = 3.0
"""Least score of a part of a line that has other parts."""
BARE = 0.5
"""Contrast in the picture itself, as a share of the step to frames around, below which a line is another frame's."""
BAREST, STANDS = 1.85, 0.3
"""The same above which it is an edge that the scene covers or uncovers; twice that where so much of it stays."""
GHOST = -0.4
"""Sigmas of a line in the picture itself below which frames around have one of the other tone beside it."""
COLOURED = 0.75
"""Contrast of the record beside the one that a coloured scratch is on, as a share of it: above it is doubtful."""
SWERVES = 3.0
"""Pixels by which a line's motion changes otherwise than the scene's: it is none of the scene."""
FLICKERS, AGAIN_UNEVEN, PURE, LENGTH = 1.7, 0.93, 0.35, 0.25
"""Where nothing moves: how unevenly a line changes, with how much of it in other frames at most; or what of it a record
beside its own has, on how much of the height: what no line of the scene does."""
WEAK, ALONE_NEEDS = 1.9, 1.05
"""Score that a line needs which frames around say little of, and one that a record beside its own hardly has, as
multiples of the least."""
STEADY = 0.2
"""Share of a line's length behind which the scene may move if the line is to be told by how it sways."""
SEEN, COMPARED = 0.1, 0.3
"""Least strength, in sigmas, of a line in the picture itself where motion is understood badly, and of one whose
strength in other frames can be compared with it."""
EDGE = 1.3
"""A line with an edge of the scene beside it all along is a part of it, or that edge moved a little wrong."""
FOLLOWS = 0.95
"""Where the scene moves less of a scratch than this goes with it, as a share of what stays."""
VISIBLE = 0.07
"""Stops: what differs less from its sides is hard to see."""
AGAIN = 0.9
"""Share of the strength of what no frame around has, found where the scene went, that is the scene after all."""
PASSED = 0.08
"""Share of a line's length where the scene must move behind it to tell."""
HELD = 0.2
"""Share of a line that must stay where the scene moves, if it is to count where the scene does not."""
CALM, ASTRAY = 1.6, 3.0
"""Sigmas that the scene may be unlike itself: below the first motion is understood well; above the second a line that
comes and goes says nothing."""


def judged(
    line: Line, seen: Verdict | Behaviour | None, spans: float, tall: float, still: float
) -> tuple[float, bool, float]:
    """Return how surely a part of a line is a scratch, 0 for none, whether it is one that stays in its place, and the
    score that it needs.

    `spans`: share of the picture's height that it takes, 0 for one that is not upright. `tall`: of its found part.
    `still`: the share that it must span where the scene does not move.
    """
    none = (0.0, False, 0.0)
    unknown = (0.7, True, LEAST) if spans >= still else none
    if seen is None:
        return unknown
    if seen.bare < BARE if line.fleeting else line.step < VISIBLE:
        return none
    if seen.edge > EDGE:
        return none
    another = seen.seen < GHOST or seen.bare > BAREST * (2 if seen.stays >= STANDS else 1)
    if line.fleeting and another and seen.sways < 1:
        return none
    compared = seen.seen >= COMPARED or not line.fleeting
    stays = compared and seen.stays >= uprights.SAME
    if seen.passed >= PASSED and spans > 0 and stays and seen.held >= uprights.SAME and seen.follows < FOLLOWS:
        return 1.0, True, LEAST
    weak = line.fleeting and (not compared or line.step < VISIBLE or seen.edge > EDGE / 2)

    def needs() -> float:  # asks for the dear part of a verdict, of the few lines that come so far
        if not line.fleeting:
            return LEAST * (ALONE_NEEDS if seen.alone < PURE else WEAK)
        return LEAST * (WEAK if weak or (line.plane and seen.alone > COLOURED) else 1)

    settled = not line.fleeting and spans > 0 and seen.stays >= 0.3 and seen.astray <= CALM
    # Where the scene moves and it does not stay there, it stays elsewhere because the scene does.
    settled = settled and (seen.passed < PASSED or seen.held >= HELD)
    if settled:
        uneven = seen.flicker >= FLICKERS and max(seen.stays, seen.moves) <= AGAIN_UNEVEN
        if uneven or (seen.alone < PURE and tall > LENGTH):
            return 0.8, False, needs()
    if compared and seen.stays >= 0.3 and seen.passed < STEADY and seen.astray <= CALM and seen.sways >= 1:
        return 0.9, False, LEAST
    if stays and seen.passed < PASSED:
        return (0.8, False, 3.8 * LEAST) if line.fleeting and tall >= 0.5 else unknown
    if stays and not line.fleeting:
        return none
    # What is strong in so many rows is hardly left over from motion.
    strong = min(2.0, max(1.0, line.track.score / (4 * LEAST))) if line.fleeting else 1.0
    if not compared or seen.seen < SEEN:
        if seen.astray > ASTRAY * strong:
            return none
        return 1.0, False, needs() if seen.astray <= CALM else 4 * LEAST
    again, calm = (AGAIN, ASTRAY) if line.fleeting else (AGAIN / 2, CALM)
    calm *= strong
    swerves = not line.fleeting and seen.swerves >= SWERVES and seen.stays < 0.3
    if (max(seen.moves, seen.aside) >= again and not swerves) or seen.astray > calm:
        return none
    return 1.0, False, needs()
