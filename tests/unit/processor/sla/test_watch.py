"""Open orders watched: what events and time bring about, each once."""

from collections.abc import Callable

from handmade import MINUTE, START, Life, moment
from hypothesis import given
from hypothesis import strategies as st
from lives import examples

from milepost.domain.sla.life import Raised
from milepost.domain.sla.policy import Policies, Policy
from milepost.domain.sla.prediction import Forecast
from milepost.domain.sla.words import RANKS, Cause, State
from milepost.processor.sla.watch import Watch

LIMITS = Policy("default", {}, stages={"prepare": 30 * MINUTE, "door": 10 * MINUTE}, silence=45 * MINUTE)
POLICIES = Policies(4, (LIMITS,))

Reached = list[tuple[str, State, Cause, float]]


class Watching:
    """One order, told of as it happens: events are appended at the minute they happen, or at ``appended``."""

    def __init__(self, policies: Policies = POLICIES, *, warm: bool = True) -> None:
        self.watch = Watch(policies, Forecast())
        if warm:
            self.watch.is_warm()
        self.life = Life()
        self._known = False

    def tell(self, at: float, add: Callable[[Life], object], appended: float | None = None) -> Reached:
        """One event at minute ``at``."""
        add(self.life)
        when = moment(at if appended is None else appended)
        self.sure = self.watch.note("o1", self.life.order, when, first=not self._known)
        self._known = True
        return self.reached()

    def pass_time(self, to: float, pending: bool = False) -> Reached:
        self.watch.tick(moment(to), lambda _: pending)
        return self.reached()

    def reached(self) -> Reached:
        return [
            (told.step.rule, told.step.state, told.step.cause, (told.step.at - START) / MINUTE)
            for told in self.watch.take()
        ]


def test_a_promise_is_broken_although_nothing_happens_and_resolved_when_it_is_met_late() -> None:
    one = Watching(Policies(1))
    assert one.tell(0, lambda life: life.placed(0, 60)) == []
    assert one.pass_time(59.9) == []
    assert one.pass_time(60) == [("promise", State.BREACHED, Cause.SILENT, 60)]
    assert one.pass_time(90) == []
    assert one.tell(95, lambda life: life.delivered(95)) == [("promise", State.RESOLVED, Cause.MET_LATE, 95)]
    assert len(one.watch) == 0
    assert one.pass_time(1000) == []


def test_lateness_and_silence_are_told_apart() -> None:
    one = Watching()
    one.tell(0, lambda life: life.placed(0, 60))
    one.tell(10, lambda life: life.ready(10))
    one.tell(20, lambda life: life.picked_up(20))
    one.tell(40, lambda life: life.arrived(40))
    assert one.pass_time(50) == [("door", State.BREACHED, Cause.LATE, 50)]
    assert one.pass_time(60) == [("promise", State.BREACHED, Cause.LATE, 60)]
    assert one.pass_time(90) == [("silence", State.BREACHED, Cause.SILENT, 85)]
    assert sorted(one.tell(95, lambda life: life.delivered(95))) == [
        ("door", State.RESOLVED, Cause.MET_LATE, 95),
        ("promise", State.RESOLVED, Cause.MET_LATE, 95),
        ("silence", State.RESOLVED, Cause.HEARD, 95),
    ]


def test_a_late_event_withdraws_what_it_shows_to_be_met() -> None:
    one = Watching(Policies(1))
    one.tell(0, lambda life: life.placed(0, 60))
    assert one.pass_time(61) == [("promise", State.BREACHED, Cause.SILENT, 60)]
    assert one.tell(50, lambda life: life.delivered(50), appended=70) == [("promise", State.WITHDRAWN, Cause.MET, 50)]


def test_a_promise_that_moves_takes_its_risk_and_its_moment_with_it() -> None:
    one = Watching(Policies(1))
    one.tell(0, lambda life: life.placed(0, 60))
    assert one.tell(30, lambda life: life.promised(30, 90)) == []
    assert one.pass_time(89) == []
    assert one.pass_time(90) == [("promise", State.BREACHED, Cause.SILENT, 90)]
    # Known late: before the deadline the customer had agreed to another, so the breach was none.
    assert one.tell(80, lambda life: life.promised(80, 200), appended=100) == [
        ("promise", State.WITHDRAWN, Cause.MOVED, 100)
    ]
    assert one.pass_time(200) == [("promise", State.BREACHED, Cause.SILENT, 200)]


def test_retracted_it_is_withdrawn() -> None:
    one = Watching(Policies(1))
    one.tell(0, lambda life: life.placed(0, 60))
    assert one.pass_time(60) != []
    assert one.tell(70, lambda life: life.retracted(70, "e1")) == [("promise", State.WITHDRAWN, Cause.RETRACTED, 70)]


def test_replays_and_backfills_are_silent() -> None:
    one = Watching()
    assert one.tell(0, lambda life: life.placed(0, 60), appended=100_000) == []
    assert one.tell(80, lambda life: life.delivered(80), appended=100_000) == []
    assert one.pass_time(200_000) == []
    open_one = Watching()
    assert open_one.tell(0, lambda life: life.placed(0, 60), appended=76) == []
    assert open_one.pass_time(300) == []
    just = Watching(Policies(1))
    assert just.tell(0, lambda life: life.placed(0, 60), appended=75) == [("promise", State.BREACHED, Cause.SILENT, 60)]


def test_all_at_once_is_told_all_the_same() -> None:
    """A worker that was away reads placed and delivered in one flush."""
    one = Watching(Policies(1))
    assert one.tell(70, lambda life: life.placed(0, 60).delivered(70)) == [
        ("promise", State.BREACHED, Cause.LATE, 60),
        ("promise", State.RESOLVED, Cause.MET_LATE, 70),
    ]


def test_events_in_hand_come_first() -> None:
    one = Watching(Policies(1))
    one.tell(0, lambda life: life.placed(0, 60))
    assert one.pass_time(61, pending=True) == []
    assert one.tell(59, lambda life: life.delivered(59), appended=61) == []
    assert one.pass_time(62) == []


def test_policies_take_effect_and_rewrite_nothing() -> None:
    one = Watching()
    one.tell(0, lambda life: life.placed(0, 600))
    assert one.pass_time(30) == [("prepare", State.BREACHED, Cause.LATE, 30)]
    one.tell(40, lambda life: life.ready(40))
    one.watch.take()
    one.tell(45, lambda life: life.picked_up(45))
    tighter = Policies(5, (Policy("default", {}, stages={"prepare": MINUTE, "transit": 20 * MINUTE}),))
    one.watch.apply(tighter, moment(50))
    assert one.reached() == []
    assert one.pass_time(64.9) == []
    assert one.pass_time(65) == [("transit", State.BREACHED, Cause.LATE, 65)]
    # What came to be over its limit more than a quarter of an hour before the limit was made stays unsaid.
    another = Watching(Policies(1))
    another.tell(0, lambda life: life.placed(0, 600))
    another.watch.apply(tighter, moment(17))
    assert another.reached() == []
    third = Watching(Policies(1))
    third.tell(0, lambda life: life.placed(0, 600))
    third.watch.apply(tighter, moment(15))
    assert third.reached() == [("prepare", State.BREACHED, Cause.LATE, 1)]


def test_what_was_raised_before_is_not_raised_again() -> None:
    one = Watching(Policies(1), warm=False)
    one.life.placed(0, 60)
    raised = [Raised("promise", moment(60), moment(60), RANKS[State.BREACHED], 1)]
    one.watch.found("o1", one.life.order, raised, moment(0))
    one.watch.is_warm()
    assert one.pass_time(100) == []
    assert one.tell(110, lambda life: life.delivered(110)) == [("promise", State.RESOLVED, Cause.MET_LATE, 110)]


def test_of_orders_that_have_left_it_is_asked_first_what_was_raised() -> None:
    one = Watching(Policies(1))
    one.tell(0, lambda life: life.placed(0, 60))
    one.pass_time(60)
    one.tell(70, lambda life: life.delivered(70))
    assert one.tell(72, lambda life: life.retracted(72, "e2")) == []
    assert not one.sure
    raised = [Raised("promise", moment(60), moment(60), RANKS[State.RESOLVED], 1)]
    one.watch.found("o1", one.life.order, raised, moment(72))
    assert one.reached() == []
    assert one.tell(55, lambda life: life.delivered(55, id="other"), appended=80) == [
        ("promise", State.WITHDRAWN, Cause.MET, 55)
    ]


class Handed(Watching):
    """The same, whose worker may be replaced by one that knows what is stored, and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[tuple[str, int], list[State]] = {}
        self._raised: dict[tuple[str, int], Raised] = {}

    def keep(self) -> None:
        for told in self.watch.take():
            step = told.step
            key = step.rule, step.base
            self.said.setdefault(key, []).append(step.state)
            self._raised[key] = Raised(step.rule, step.base, step.due, RANKS[step.state], step.policy_version)

    def replace(self, now: float) -> None:
        self.watch = Watch(POLICIES, Forecast())
        if self._known:
            self.watch.found("o1", self.life.order, list(self._raised.values()), moment(now))
        self.watch.remember(["o1"] if self._raised else [])
        self.watch.is_warm()

    def note(self, now: float) -> None:
        order = self.life.order
        if not self.watch.note("o1", order, moment(now), first=False):
            self.watch.found("o1", order, list(self._raised.values()), moment(now))


EVENTS: list[Callable[[Life, float], object]] = [
    lambda life, at: life.ready(at),
    lambda life, at: life.assigned(at),
    lambda life, at: life.picked_up(at),
    lambda life, at: life.arrived(at),
    lambda life, at: life.failed(at),
    lambda life, at: life.returned(at, "back_to_hub"),
    lambda life, at: life.delivered(at),
    lambda life, at: life.cancelled(at),
    lambda life, at: life.promised(at, at + 40),
    lambda life, at: life.retracted(at, f"e{1 + len(life.facts) // 2}"),
]


@examples(150)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 10)), max_size=25),
    st.integers(10, 90),
)
def test_whatever_happens_each_state_is_told_once_and_in_order(steps: list[tuple[int, int, int]], until: int) -> None:
    one, now = Handed(), 0.0
    one.tell(0, lambda life: life.placed(0, until))
    one.keep()
    for what, wait, late in steps:
        now += wait
        if what == 12:
            one.replace(now)
        elif what >= len(EVENTS):
            one.watch.tick(moment(now), lambda _: False)
        else:
            EVENTS[what](one.life, max(0.0, now - late))
            one.note(now)
        one.keep()
    for states in one.said.values():
        ranks = [RANKS[state] for state in states]
        assert ranks == sorted(set(ranks))
    order = one.life.order
    if order.placed is not None and order.promises is not None and order.delivered_at:
        deadline = order.promises.in_force.deadline
        last = one.said.get(("promise", deadline), [State.PENDING])[-1]
        if order.delivered_at <= deadline:
            assert last in (State.PENDING, State.WITHDRAWN)
        else:
            # Once withdrawn it stays so, whatever is taken back after that.
            assert last in (State.PENDING, State.RESOLVED, State.WITHDRAWN)
