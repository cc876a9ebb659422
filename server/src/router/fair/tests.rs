//! Who has a turn when, against counts: routers with a clock of their own and clients that only count.

use super::*;
use halyard_ring::chat::Kind;

const WINDOW: u32 = 100;
const QUANTUM: u32 = 32;

/// A router that only counts: records come in and are carried out.
struct Router {
    fair: Fair,
    shares: Vec<Share>,
    now_ns: u64,
    /// How long one record of a backlog takes.
    cost_ns: u64,
    command: u64,
    /// Whose records were carried out, in order.
    done: Vec<u32>,
}

impl Router {
    fn new(clients: u32) -> Self {
        let shares = (0..clients).map(|_| Share::default()).collect();
        Self { fair: Fair::new(WINDOW, QUANTUM), shares, now_ns: 0, cost_ns: 0, command: 1, done: Vec::new() }
    }

    /// A new command of one record.
    fn takes(&mut self, slot: u32) -> Turn {
        self.command += 1;
        self.takes_one(slot, self.command, 0, 1)
    }

    fn takes_one(&mut self, slot: u32, command: u64, frag: u8, frags: u8) -> Turn {
        let share = &mut self.shares[slot as usize];
        let mut record = Record::new(Kind::Say);
        (record.command, record.frag, record.frags) = (command, frag, frags);
        let turn = self.fair.arrives(share, &record, self.now_ns);
        match turn {
            Turn::Now => self.done.push(slot),
            Turn::Later => self.fair.put_off(slot, share, &record),
            Turn::Refused => share.refused += 1,
        }
        turn
    }

    fn ends_round(&mut self) {
        self.now_ns += 1000;
        self.fair.at(self.now_ns);
        for _ in 0..self.fair.end_round() {
            let slot = self.fair.next().unwrap();
            let share = &mut self.shares[slot as usize];
            let (began_ns, (records, until_ns)) = (self.now_ns, self.fair.turn(share, self.now_ns));
            for _ in 0..records {
                if self.now_ns >= until_ns || share.next().is_none() {
                    break;
                }
                self.now_ns += self.cost_ns;
                self.done.push(slot);
            }
            self.fair.back(slot, share, began_ns, self.now_ns);
        }
    }
}

#[test]
fn who_is_alone_is_served_without_end_and_without_a_copy() {
    let mut router = Router::new(1);
    for _ in 0..10_000 {
        assert_eq!(router.takes(0), Turn::Now);
    }
    router.ends_round();
    assert_eq!(router.done.len(), 10_000);
}

#[test]
fn equals_are_served_in_the_order_in_which_they_come() {
    let mut router = Router::new(4);
    for _ in 0..3 {
        for n in 0..4000 {
            assert_eq!(router.takes(n % 4), Turn::Now);
        }
        router.ends_round();
    }
}

#[test]
fn a_flooder_delays_the_others_by_a_bounded_number_of_records() {
    let mut router = Router::new(11);
    // The ring is full of the flooder's records; the honest ones' lie between and behind them.
    let mut worst = 0;
    for round in 0..20 {
        for honest in 1..=10 {
            let before = router.done.len();
            for _ in 0..400 {
                router.takes(0);
            }
            assert_eq!(router.takes(honest), Turn::Now);
            if round > 0 {
                worst = worst.max(router.done.len() - before);
            }
        }
        router.ends_round();
    }
    assert!(worst <= QUANTUM as usize + 22, "{worst} of the flooder's in front of one");
    let flooders = router.done.iter().filter(|&&slot| slot == 0).count();
    assert!(flooders < 20 * 3 * QUANTUM as usize + 400, "{flooders}");
    assert!(router.shares[0].refused > 70_000, "{}", router.shares[0].refused);
    assert!(router.shares[0].backlog.len() <= WINDOW as usize);
}

/// One slice of time: each of the honest asks so many times, and client 0 has `window` commands under way at any time
/// and sends the next when one is answered. Returns how many of client 0's were carried out, and how many of the honest
/// ones' were put off.
fn slice(router: &mut Router, window: usize, honest: u32, asks: u32) -> (usize, usize) {
    let begun = router.done.len();
    let end_ns = router.now_ns + SLICE_NS;
    let (mut put_off, mut under_way) = (0, router.shares[0].backlog.len());
    for ask in 0..asks.max(20) {
        let mut answered = 0;
        while under_way < window && answered < 4 * window {
            match router.takes(0) {
                Turn::Now => answered += 1,
                Turn::Later => under_way += 1,
                Turn::Refused => break,
            }
        }
        if ask < asks {
            put_off += (1..=honest).filter(|&slot| router.takes(slot) != Turn::Now).count();
        }
        router.ends_round();
        under_way = router.shares[0].backlog.len();
    }
    router.now_ns = router.now_ns.max(end_ns);
    (router.done[begun..].iter().filter(|&&slot| slot == 0).count(), put_off)
}

#[test]
fn who_sends_far_more_than_the_others_waits_for_its_next_slice_and_they_for_nothing() {
    for (honest, asks) in [(10, 3), (1, 1), (10, 30)] {
        let mut router = Router::new(11);
        for _ in 0..110 {
            slice(&mut router, 32, honest, asks);
        }
        // Never less than a quantum, nor than twice what each of the others has.
        let share = (QUANTUM as usize).max(2 * asks as usize) + 2;
        for n in 0..500 {
            let (served, put_off) = slice(&mut router, 32, honest, asks);
            assert!(served <= share, "{served} in slice {n} beside {honest} × {asks}");
            assert!(served >= QUANTUM as usize / 2, "{served} in slice {n}: it has a share");
            assert_eq!(put_off, 0);
        }
    }
}

#[test]
fn who_is_paced_is_no_longer_when_the_others_are_silent() {
    let mut router = Router::new(2);
    for _ in 0..200 {
        slice(&mut router, 32, 1, 1);
    }
    assert!(router.shares[0].paced.is_some() && router.shares[1].paced.is_none());
    for _ in 0..120 {
        slice(&mut router, 32, 0, 0);
    }
    assert_eq!(router.shares[0].paced, None);
    let (served, _) = slice(&mut router, 32, 0, 0);
    assert!(served > 10 * QUANTUM as usize, "{served}");
}

#[test]
fn equals_who_send_as_much_as_they_can_are_not_paced() {
    let mut router = Router::new(4);
    for _ in 0..300 {
        for n in 0..4000 {
            assert_eq!(router.takes(n % 4), Turn::Now);
        }
        router.ends_round();
        router.now_ns += SLICE_NS;
    }
}

#[test]
fn a_paced_client_whose_commands_are_dear_has_a_quarter_of_the_time() {
    let mut router = Router::new(11);
    for _ in 0..200 {
        slice(&mut router, 32, 10, 3);
    }
    assert!(router.shares[0].paced.is_some());
    router.cost_ns = 100_000;
    let (begun_ns, begun) = (router.now_ns, router.done.len());
    for _ in 0..200 {
        slice(&mut router, 1000, 10, 1);
    }
    let its_ns = 100_000 * router.done[begun..].iter().filter(|&&slot| slot == 0).count() as u64;
    let all_ns = router.now_ns - begun_ns;
    assert!(its_ns <= all_ns * 3 / 10, "{its_ns} of {all_ns} ns");
    assert!(its_ns >= all_ns / 10, "{its_ns} of {all_ns} ns: it has a share");
}

#[test]
fn a_turn_in_which_the_router_had_to_wait_costs_its_client_no_more_than_sixteen_slices() {
    let mut router = Router::new(2);
    for _ in 0..200 {
        slice(&mut router, 64, 1, 1);
    }
    let (fair, share) = (&mut router.fair, &mut router.shares[0]);
    assert!(share.paced.is_some());
    let began_ns = router.now_ns;
    share.rests_until_ns = began_ns;
    fair.back(0, share, began_ns, began_ns + 40 * SLICE_NS);
    let has_turn = |at_ns| fair.turn(share, at_ns).0 > 0;
    assert_eq!([began_ns + 15 * SLICE_NS, began_ns + 16 * SLICE_NS].map(has_turn), [false, true]);
}

#[test]
fn nobody_is_paced_when_the_server_stops() {
    let mut router = Router::new(2);
    for _ in 0..200 {
        slice(&mut router, 64, 1, 1);
    }
    assert!(router.fair.has_waiting() && !router.fair.goes_on());
    router.fair.make_haste();
    for _ in 0..4 {
        router.ends_round();
    }
    assert!(!router.fair.has_waiting());
}

#[test]
fn who_competed_a_moment_ago_still_does_and_later_does_not() {
    let mut router = Router::new(2);
    router.takes(0);
    router.takes(1);
    router.ends_round();
    let served = |router: &mut Router| (0..1000).filter(|_| router.takes(0) == Turn::Now).count();
    assert_eq!(served(&mut router), QUANTUM as usize);
    while router.fair.has_waiting() {
        router.ends_round();
    }
    router.now_ns += CONTENDED_NS;
    router.takes(0);
    router.ends_round();
    assert_eq!(served(&mut router), 1000);
}

/// Client 1 has competed, its quantum is used up, and its window is full.
fn with_a_full_window() -> Router {
    let mut router = Router::new(2);
    router.takes(1);
    router.ends_round();
    router.takes(0);
    for n in 0..QUANTUM + WINDOW + 1 {
        let turn = router.takes(1);
        let expected = if n < QUANTUM + 2 { Turn::Now } else { Turn::Later };
        assert!(turn == expected || n > QUANTUM + WINDOW, "{n}: {turn:?}");
    }
    while router.takes(1) != Turn::Refused {}
    router
}

#[test]
fn what_is_put_off_stays_in_order_and_a_text_stays_whole() {
    let mut router = with_a_full_window();
    router.ends_round();
    assert_eq!(router.takes(1), Turn::Later, "behind what waits, although its quantum is not used up");
    // The last command that the window takes is a text: the rest of it is no new one.
    while router.shares[1].commands < WINDOW - 1 {
        router.takes(1);
    }
    for frag in 0..FRAGS_MAX as u8 {
        assert_eq!(router.takes_one(1, 100_000, frag, FRAGS_MAX as u8), Turn::Later, "{frag}");
    }
    assert_eq!(router.takes(1), Turn::Refused);
    router.fair.forget(1);
    assert!(!router.fair.has_waiting());
}

#[test]
fn a_text_that_was_refused_is_refused_whole_and_may_be_sent_again() {
    let mut router = with_a_full_window();
    assert_eq!(router.takes_one(1, 5000, 0, 3), Turn::Refused);
    assert_eq!(router.takes_one(1, 5000, 1, 3), Turn::Refused);
    // There is room again, and what is left of the text would come without its beginning.
    while router.fair.has_waiting() {
        router.ends_round();
    }
    assert_eq!(router.takes_one(1, 5000, 2, 3), Turn::Refused);
    for frag in 0..3 {
        assert_eq!(router.takes_one(1, 5000, frag, 3), Turn::Now, "{frag}");
    }
}

#[test]
fn what_goes_on_with_no_text_that_waits_is_a_command_like_any_other() {
    let mut router = with_a_full_window();
    let full = router.shares[1].backlog.len();
    for command in 10_000..20_000 {
        // A second half without a first, and the fragment after the last of which a text may have.
        assert_eq!(router.takes_one(1, command, 1, 2), Turn::Refused);
        assert_eq!(router.takes_one(1, command, FRAGS_MAX as u8, u8::MAX), Turn::Refused);
    }
    assert_eq!(router.shares[1].backlog.len(), full);
    // Also while the window is not full: then they fill it.
    while router.fair.has_waiting() {
        router.ends_round();
    }
    router.takes(0);
    for command in 20_000..30_000 {
        router.takes_one(1, command, 1, 2);
        assert!(router.shares[1].backlog.len() <= WINDOW as usize);
    }
    assert_eq!(router.shares[1].commands, WINDOW);
    while router.fair.has_waiting() {
        router.ends_round();
    }
    assert_eq!(router.shares[1].commands, 0);
}
