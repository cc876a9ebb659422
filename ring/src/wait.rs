//! How to wait: spin, yield, sleep, or first the one and then the other.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::time::Instant;

use crate::process::cpus;
use crate::remembered::Remembered;

/// The disciplines of [`Wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Discipline {
    Spin,
    Yield,
    Block,
    Adaptive,
}

/// How a thread waits for a record or for a free slot.
///
/// | strategy | waits by | for |
/// |---|---|---|
/// | [`spin`](Self::spin) | looking again and again, without end | a core of its own, lowest latency |
/// | [`yielding`](Self::yielding) | `sched_yield`, without end | more threads than cores, all of them busy |
/// | [`block`](Self::block) | sleeping on the semaphore at once | rare messages |
/// | [`adaptive`](Self::adaptive) | a few pauses where cores are to spare, then yields for a bounded time, then sleep | everything else; the default |
///
/// Yielding before sleeping is worth its time because waking a thread that sleeps on another core is dear (33 µs on
/// the virtual machine that this was measured on) while a round of `sched_yield` costs under 1 µs. Where it is not,
/// since records are far apart, `adaptive` finds out: after a sleep of 20 times the time that it may yield for (a
/// millisecond) a consumer yields only a few times before it sleeps, until two sleeps in a row were shorter. So what yields
/// for nothing is a twentieth of a core at most. And where other programs keep the processors busy, a yield gives one of
/// them a whole time slice; who has lost one so sleeps at once the next few hundred times.
///
/// ```
/// use halyard_ring::Wait;
/// use std::time::Duration;
/// let patient = Wait::adaptive().yield_for(Duration::from_micros(200));
/// assert_eq!("block".parse(), Ok(Wait::block()));
/// # let _ = patient;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wait {
    discipline: Discipline,
    spins: u32,
    yield_for: Duration,
    recheck: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self::adaptive()
    }
}

/// With this many processors, a waiting thread that spins for a moment keeps nobody from running.
const CORES_TO_SPARE: usize = 4;

fn default_spins() -> u32 {
    static SPINS: Remembered = Remembered::new();
    SPINS.get(|| if cpus().len() >= CORES_TO_SPARE { 256 } else { 0 }) as u32
}

impl Wait {
    fn new(discipline: Discipline) -> Self {
        let spins = if discipline == Discipline::Adaptive { default_spins() } else { 0 };
        Self { discipline, spins, yield_for: Duration::from_micros(50), recheck: Duration::from_millis(100) }
    }

    /// Spins until it is there.
    #[must_use]
    pub fn spin() -> Self {
        Self::new(Discipline::Spin)
    }

    /// Yields the processor until it is there.
    #[must_use]
    pub fn yielding() -> Self {
        Self::new(Discipline::Yield)
    }

    /// Sleeps at once.
    #[must_use]
    pub fn block() -> Self {
        Self::new(Discipline::Block)
    }

    /// Spins, yields, then sleeps; the default.
    #[must_use]
    pub fn adaptive() -> Self {
        Self::new(Discipline::Adaptive)
    }

    /// How many pauses `adaptive` spins for. By default 256 on four processors or more, none on fewer.
    #[must_use]
    pub fn spins(mut self, spins: u32) -> Self {
        self.spins = spins;
        self
    }

    /// How long `adaptive` yields before it sleeps; 50 µs by default.
    #[must_use]
    pub fn yield_for(mut self, time: Duration) -> Self {
        self.yield_for = time;
        self
    }

    /// How long a sleep lasts at most before the thread looks again by itself, 100 ms by default. It matters where a
    /// peer was killed between publishing a record and waking its reader, and for a producer that went to sleep at the
    /// very moment at which a consumer freed a few slots and then turned to something else.
    #[must_use]
    pub fn recheck(mut self, time: Duration) -> Self {
        self.recheck = time;
        self
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.discipline {
            Discipline::Spin => "spin",
            Discipline::Yield => "yield",
            Discipline::Block => "block",
            Discipline::Adaptive => "adaptive",
        })
    }
}

/// The error of parsing a [`Wait`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWait(String);

impl fmt::Display for UnknownWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no wait strategy {:?}: use spin, yield, block or adaptive", self.0)
    }
}

impl core::error::Error for UnknownWait {}

impl FromStr for Wait {
    type Err = UnknownWait;

    fn from_str(s: &str) -> Result<Self, UnknownWait> {
        match s {
            "spin" => Ok(Self::spin()),
            "yield" => Ok(Self::yielding()),
            "block" => Ok(Self::block()),
            "adaptive" => Ok(Self::adaptive()),
            _ => Err(UnknownWait(s.to_owned())),
        }
    }
}

/// How many times as long as it would yield a sleep must last for yielding to be no use.
const RARE: u32 = 20;
/// Short sleeps after a long one until a thread yields as long as it may again.
const TRUST: u8 = 2;

/// Over at the second look at the clock: as few yields as lie between two of them.
const A_FEW: Duration = Duration::from_nanos(1);

/// Yields that took so much longer than they were to last have let somebody else have the processor for a time slice.
const LOST: Duration = Duration::from_micros(200);
/// So many times a thread sleeps at once after that. With fewer, the next try would be in the 99th percentile.
const CROWDED: u8 = 250;

/// What the last sleeps of a thread say about the next wait. Where records are far apart, yielding in front of a sleep
/// saves nothing and is most of what the thread costs. Where the processors are busy it costs a time slice, and more where
/// the kernel takes what is left of its own from whoever yields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// Short sleeps to come until yielding counts as worth it.
    distrust: u8,
    /// Sleeps to come without a yield in front of them.
    crowded: u8,
}

impl Habit {
    /// The next wait's strategy: after a long sleep only so few yields that what comes right behind a record needs no
    /// second wake-up; none among busy programs.
    pub(crate) fn strategy(self, wait: Wait) -> Wait {
        if self.crowded > 0 && wait.discipline == Discipline::Adaptive {
            return Wait { discipline: Discipline::Block, ..wait };
        }
        if self.distrust == 0 { wait } else { wait.yield_for(wait.yield_for.min(A_FEW)) }
    }

    /// Notes how long a sleep lasted, and whether yielding in front of it had [lost the
    /// processor](Pacer::has_lost_its_turn). One short sleep is not enough to trust again: it may have been for the second
    /// record of a pair.
    pub(crate) fn slept(&mut self, wait: Wait, time: Duration, had_lost: bool) {
        self.crowded = if had_lost { CROWDED } else { self.crowded.saturating_sub(1) };
        if time >= wait.yield_for.saturating_mul(RARE) {
            self.distrust = TRUST;
        } else {
            self.distrust = self.distrust.saturating_sub(1);
        }
    }
}

/// How to spin: glances at the word that is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spin {
    /// How many.
    pub(crate) glances: u32,
    /// With a pause instruction between two of them, which leaves the core to its other threads, and is slower to see the
    /// word change than a cache line is to arrive.
    pub(crate) pause: bool,
}

/// What to do after a look that found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Look again.
    Look,
    /// Spin, then look again.
    Spin(Spin),
    /// Sleep on the semaphore for at most this long, then look again.
    Sleep(Duration),
    /// The deadline is over.
    TimedOut,
}

/// One wait in progress: paces the looks.
#[derive(Debug)]
pub(crate) struct Pacer {
    wait: Wait,
    timeout: Option<Duration>,
    /// Set at the first look at the clock: a wait that ends before needs none.
    deadline: Option<Instant>,
    rounds: u32,
    yielding_since: Option<Instant>,
    /// The time for yielding is over.
    done_yielding: bool,
    has_lost_its_turn: bool,
}

/// Glances of a spinning wait between two full looks, which look at the clock, too: some microseconds.
const GLANCES: u32 = 4096;
/// Yields between two looks at the clock.
const YIELDS: u32 = 8;

impl Pacer {
    pub(crate) fn new(wait: Wait, timeout: Option<Duration>) -> Self {
        Self {
            wait,
            timeout,
            deadline: None,
            rounds: 0,
            yielding_since: None,
            done_yielding: false,
            has_lost_its_turn: false,
        }
    }

    /// Whether somebody else had the processor for a time slice because this wait yielded.
    pub(crate) fn has_lost_its_turn(&self) -> bool {
        self.has_lost_its_turn
    }

    /// Pauses or yields as the strategy has it, or says that it is time to sleep or to give up. `limit`: look again
    /// after this long at the latest.
    #[inline]
    pub(crate) fn pace(&mut self, limit: Option<Duration>) -> Pace {
        let round = self.rounds;
        self.rounds = round.wrapping_add(1);
        let discipline = self.wait.discipline;
        match discipline {
            // The first time without a look at the clock.
            Discipline::Spin if round > 0 && self.left().is_none() => Pace::TimedOut,
            Discipline::Spin => Pace::Spin(Spin { glances: GLANCES, pause: false }),
            Discipline::Adaptive if round == 0 && self.wait.spins > 0 => {
                Pace::Spin(Spin { glances: self.wait.spins, pause: true })
            }
            Discipline::Block => self.sleep(limit),
            _ if self.done_yielding => self.sleep(limit),
            // Most yields go without a look at the clock.
            _ if !round.is_multiple_of(YIELDS) => {
                std::thread::yield_now();
                Pace::Look
            }
            _ => {
                let now = Instant::now();
                if self.left_at(now).is_none() {
                    return Pace::TimedOut;
                }
                let since = *self.yielding_since.get_or_insert(now);
                if discipline == Discipline::Adaptive && now - since >= self.wait.yield_for {
                    self.done_yielding = true;
                    self.has_lost_its_turn = now - since >= self.wait.yield_for.saturating_add(LOST);
                    return self.sleep(limit);
                }
                std::thread::yield_now();
                Pace::Look
            }
        }
    }

    /// Time left until the deadline, `None` if it is over; without a deadline, for ever.
    fn left(&mut self) -> Option<Duration> {
        if self.timeout.is_none() { Some(Duration::MAX) } else { self.left_at(Instant::now()) }
    }

    fn left_at(&mut self, now: Instant) -> Option<Duration> {
        let Some(timeout) = self.timeout else { return Some(Duration::MAX) };
        if self.deadline.is_none() {
            // A deadline beyond what the clock can say is none.
            self.deadline = now.checked_add(timeout);
        }
        let Some(deadline) = self.deadline else { return Some(Duration::MAX) };
        deadline.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    fn sleep(&mut self, limit: Option<Duration>) -> Pace {
        match self.left() {
            Some(left) => Pace::Sleep(left.min(self.wait.recheck).min(limit.unwrap_or(Duration::MAX))),
            None => Pace::TimedOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptive_spins_then_yields_then_sleeps() {
        let wait = Wait::adaptive().spins(3).yield_for(Duration::from_millis(1));
        let mut pacer = Pacer::new(wait, Some(Duration::from_secs(3600)));
        assert_eq!(pacer.pace(None), Pace::Spin(Spin { glances: 3, pause: true }));
        assert_eq!(pacer.pace(None), Pace::Look, "a yield");
        while pacer.pace(None) == Pace::Look {}
        // Once its time for yielding is over it only sleeps, and never longer than it should.
        assert!((0..20).all(|_| pacer.pace(None) == Pace::Sleep(wait.recheck)));
        let limit = Duration::from_micros(7);
        assert_eq!(pacer.pace(Some(limit)), Pace::Sleep(limit));
    }

    #[test]
    fn a_long_sleep_makes_adaptive_sleep_early_until_two_were_short() {
        let wait = Wait::adaptive().spins(0).yield_for(Duration::from_secs(3600));
        let (long, short) = (Duration::from_secs(20 * 3600), Duration::from_micros(80));
        let yields = |habit: Habit| {
            let mut pacer = Pacer::new(habit.strategy(wait), None);
            (0..=YIELDS).take_while(|_| pacer.pace(None) == Pace::Look).count()
        };
        let (all, few) = (YIELDS as usize + 1, YIELDS as usize);
        let mut habit = Habit::default();
        assert_eq!(yields(habit), all, "it goes on");
        habit.slept(wait, long, false);
        assert_eq!(yields(habit), few);
        habit.slept(wait, short, false);
        assert_eq!(yields(habit), few, "the second record of a pair");
        habit.slept(wait, long, false);
        habit.slept(wait, short, false);
        habit.slept(wait, short, false);
        assert_eq!(yields(habit), all);
    }

    #[test]
    fn yields_that_lost_the_processor_make_adaptive_sleep_at_once_for_a_while() {
        let wait = Wait::adaptive().spins(0);
        let yields_for = |time: Duration| {
            let mut pacer = Pacer::new(wait, None);
            assert_eq!(pacer.pace(None), Pace::Look);
            pacer.rounds = YIELDS;
            pacer.yielding_since = Instant::now().checked_sub(time);
            assert_eq!(pacer.pace(None), Pace::Sleep(wait.recheck));
            pacer.has_lost_its_turn()
        };
        assert!(yields_for(wait.yield_for + LOST));
        let mut habit = Habit::default();
        let sleeps_at_once =
            |habit: Habit, wait| matches!(Pacer::new(habit.strategy(wait), None).pace(None), Pace::Sleep(_));
        assert!(!sleeps_at_once(habit, wait));
        habit.slept(wait, Duration::ZERO, true);
        for _ in 0..CROWDED {
            assert!(sleeps_at_once(habit, wait));
            assert!(!sleeps_at_once(habit, Wait::yielding()), "who asks for yields gets them");
            habit.slept(wait, Duration::ZERO, false);
        }
        assert!(!sleeps_at_once(habit, wait));
    }

    #[test]
    fn every_strategy_ends_at_its_deadline() {
        for wait in [Wait::spin(), Wait::yielding(), Wait::block(), Wait::adaptive()] {
            let mut pacer = Pacer::new(wait, Some(Duration::from_millis(2)));
            while pacer.pace(Some(Duration::ZERO)) != Pace::TimedOut {}
            assert_eq!(wait.to_string().parse(), Ok(wait));
        }
    }
}
