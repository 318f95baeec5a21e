"""Whether customers answer, and what they say about what happened to them."""

from typing import TYPE_CHECKING

from milepost.simulator.draws import HOUR, MINUTE, Draws
from milepost.simulator.life import AttemptFailed, Cancelled, Delivered, FeedbackRequested, Response

if TYPE_CHECKING:
    from milepost.simulator.story import Story

CHANNELS = ("email", "sms", "app")
PLEASED = ("friendly", "friendly", "on time", "fast", "well packed", "good tracking")
ANNOYED = ("no word of the delay", "damaged", "missing items", "unfriendly", "left at the wrong door")
SATISFIED_FROM, DETRACTOR_UP_TO = 4, 6


def ask(draws: Draws, voices: Draws, story: "Story") -> None:
    """Add requests and responses to ``story``; the later, the more damaged, the more visits, the worse the score.

    Some say why, in words drawn from ``voices``.
    """
    delivered = [fact for fact in story.facts if isinstance(fact, Delivered)]
    if not delivered:
        if draws.chance(0.02):
            at = story.placed.promised_until + draws.minutes((10, 120, 1500))
            story.facts.append(_response(draws, at, 1.2))
            _explain(voices, story)
        return
    last = max(delivered, key=lambda fact: fact.at)
    if draws.chance(0.7):
        story.facts.append(
            FeedbackRequested(at=last.at + draws.minutes((1, 5, 30)), channel=draws.pick((*CHANNELS, None)))
        )
    if not draws.chance(0.32):
        return
    mood = _mood(story, last.at)
    if draws.chance(0.02):
        story.facts.append(
            _response(draws, max(story.placed.at + MINUTE, last.at - draws.minutes((5, 60, 600))), mood - 1)
        )
    at = last.at + draws.minutes((2, 8, 30, 120, 600, 3000))
    story.facts.append(_response(draws, at, mood))
    if draws.chance(0.07):
        story.facts.append(_response(draws, at + draws.minutes((1, 30, 1500)), mood - draws.pick((0, 1, 2))))
    _explain(voices, story)


def _mood(story: "Story", delivered: int) -> float:
    mood = 4.8
    late = delivered - story.placed.promised_until
    if late > 0:
        mood -= 1.0 if late < HOUR else 2.2
    for fact in story.facts:
        if isinstance(fact, AttemptFailed):
            mood -= 0.8
        elif isinstance(fact, Cancelled):
            mood -= 1.5
        elif isinstance(fact, Delivered) and fact.lines is not None and any(line[2] for line in fact.lines):
            mood -= 2.0
    return mood


def _explain(voices: Draws, story: "Story") -> None:
    """Let some of the answers name what pleased or annoyed the customer."""
    late = any(isinstance(fact, Delivered) and fact.at > story.placed.promised_until for fact in story.facts)
    missed = any(isinstance(fact, AttemptFailed) for fact in story.facts)
    for fact in story.facts:
        if isinstance(fact, Response) and voices.chance(0.4):
            annoyed = (fact.score is not None and fact.score < SATISFIED_FROM) or (
                fact.nps is not None and fact.nps <= DETRACTOR_UP_TO
            )
            words = [voices.pick(ANNOYED if annoyed else PLEASED)]
            if annoyed and (late or missed):
                words.insert(0, "late" if late else "had to wait for a second visit")
            fact.reasons = tuple(dict.fromkeys(words))


def _response(draws: Draws, at: int, mood: float) -> Response:
    felt = mood + draws.along((-2.0, -0.6, -0.1, 0.2, 0.5, 1.0))
    score = max(1, min(5, int(felt + 0.5)))
    nps = max(0, min(10, int(felt * 2.0 + 0.5)))
    kind = draws.random()
    return Response(at=at, score=score if kind < 0.85 else None, nps=nps if kind > 0.55 else None)
