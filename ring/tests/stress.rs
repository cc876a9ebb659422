//! Threads at full speed over heap rings: what ThreadSanitizer runs, and a second look at the same promises without it.

use std::time::Duration;

use halyard_ring::{Mode, PushError, Ring, RingOptions, Wait};

/// Records per producer: ThreadSanitizer slows everything down tenfold.
const COUNT: u64 = if cfg!(tsan) { 3_000 } else { 30_000 };

/// A record whose parts must fit together: torn or stale bytes show.
fn record(producer: u64, number: u64) -> [u64; 6] {
    [producer, number, !number, number ^ 0x5555, number.rotate_left(17), producer ^ number]
}

fn all_arrive_in_order(options: &RingOptions, producers: u64, wait: Wait) {
    let ring = Ring::<[u64; 6]>::heap(options);
    std::thread::scope(|scope| {
        for producer in 0..producers {
            let mut end = ring.producer().unwrap();
            end.set_wait(wait);
            scope.spawn(move || {
                for number in 0..COUNT {
                    match number % 3 {
                        0 => end.push(record(producer, number)).unwrap(),
                        1 => {
                            let batch = [record(producer, number)];
                            while end.push_batch(&batch).is_err() {
                                std::thread::yield_now();
                            }
                        }
                        _ => {
                            // Now and then a position is given up between two records.
                            if number % 7 == 0
                                && let Ok(claim) = end.try_claim()
                            {
                                claim.abandon();
                            }
                            loop {
                                let mut claim = end.claim().unwrap();
                                claim.write(&record(producer, number));
                                if claim.publish().is_ok() {
                                    break;
                                }
                            }
                        }
                    }
                }
            });
        }
        let mut consumer = ring.consumer().unwrap();
        consumer.set_wait(wait);
        let mut next = vec![0; producers as usize];
        let mut check = |got: &[u64; 6]| {
            let number = &mut next[got[0] as usize];
            assert_eq!(*got, record(got[0], *number));
            *number += 1;
        };
        let mut left = producers * COUNT;
        while left > 0 {
            check(&consumer.pop().unwrap());
            left -= 1 + consumer.drain(16, &mut check).unwrap() as u64;
        }
        assert!(next.iter().all(|&number| number == COUNT));
    });
    let counters = ring.inspect().counters;
    assert_eq!((counters.published, counters.damaged), (producers * COUNT, 0));
    assert_eq!(counters.consumed, producers * COUNT);
}

#[test]
fn one_producer_yielding() {
    all_arrive_in_order(&RingOptions::spsc(8), 1, Wait::yielding());
}

#[test]
fn one_producer_asleep_most_of_the_time() {
    all_arrive_in_order(&RingOptions::spsc(2), 1, Wait::block());
}

#[test]
fn three_producers_adaptive() {
    all_arrive_in_order(&RingOptions::mpsc(16), 3, Wait::adaptive());
}

#[test]
fn three_producers_asleep_most_of_the_time() {
    all_arrive_in_order(&RingOptions::mpsc(2), 3, Wait::block());
}

#[test]
fn three_producers_counting() {
    all_arrive_in_order(&RingOptions::mpsc(8).mode(Mode::Counting), 3, Wait::block());
}

#[test]
fn claims_are_voided_all_the_time_and_nothing_is_lost() {
    // Without a grace every claim that the consumer meets is taken from its owner, who must notice and push again.
    all_arrive_in_order(&RingOptions::mpsc(4).grace(Duration::ZERO), 3, Wait::yielding());
}

#[test]
fn producers_come_and_go_while_others_push() {
    let ring = Ring::<u64>::heap(&RingOptions::mpsc(8).owners(4));
    let values = |thread: u64, visit: u64| (0..3).map(move |number| thread << 32 | visit << 8 | number);
    std::thread::scope(|scope| {
        let pushers: Vec<_> = (0..3u64)
            .map(|thread| {
                let ring = &ring;
                scope.spawn(move || {
                    for visit in 0..COUNT / 30 {
                        let mut producer = ring.producer().unwrap();
                        values(thread, visit).for_each(|value| producer.push(value).unwrap());
                    }
                })
            })
            .collect();
        let mut consumer = ring.consumer().unwrap();
        let mut got = Vec::new();
        loop {
            match consumer.pop_timeout(Duration::from_millis(5)) {
                Ok(value) => got.push(value),
                Err(_) if pushers.iter().all(|pusher| pusher.is_finished()) => break,
                Err(_) => {}
            }
        }
        got.extend(std::iter::from_fn(|| consumer.try_pop().ok()));
        for thread in 0..3u64 {
            let mine: Vec<_> = got.iter().filter(|&&value| value >> 32 == thread).collect();
            assert!(mine.is_sorted(), "in order per producer");
        }
        got.sort_unstable();
        let visits = (0..3).flat_map(|thread| (0..COUNT / 30).map(move |visit| (thread, visit)));
        assert_eq!(got, visits.flat_map(|(thread, visit)| values(thread, visit)).collect::<Vec<_>>());
    });
}

#[test]
fn closing_wakes_everyone() {
    let ring = Ring::<u64>::heap(&RingOptions::spsc(2));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.set_wait(Wait::block());
    consumer.set_wait(Wait::block());
    let idle = Ring::<u64>::heap(&RingOptions::spsc(2));
    let mut sleeper = idle.consumer().unwrap();
    sleeper.set_wait(Wait::block());
    std::thread::scope(|scope| {
        let pusher = scope.spawn(move || {
            let mut number = 0;
            loop {
                match producer.push(number) {
                    Ok(()) => number += 1,
                    Err(PushError::Closed(back)) => return (number, back),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let popper = scope.spawn(move || sleeper.pop());
        while ring.inspect().counters.producer_parks == 0 || idle.inspect().counters.consumer_parks == 0 {
            std::thread::yield_now();
        }
        ring.close();
        idle.close();
        assert_eq!(pusher.join().unwrap(), (2, 2));
        assert!(popper.join().unwrap().is_err());
    });
    assert_eq!((consumer.pop(), consumer.pop()), (Ok(0), Ok(1)), "what was published is delivered");
    assert!(consumer.pop().is_err());
}

/// A race that ThreadSanitizer must report: proof that its silence about the others means something.
#[cfg(tsan)]
#[test]
fn planted_race() {
    if std::env::var_os("HALYARD_PLANT_RACE").is_none() {
        return;
    }
    use std::sync::atomic::{AtomicBool, Ordering};
    struct Shared(std::cell::UnsafeCell<u64>, AtomicBool);
    #[expect(unsafe_code, reason = "the race is the point")]
    // SAFETY: none; it is a race.
    unsafe impl Sync for Shared {}
    let shared = Shared(std::cell::UnsafeCell::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let shared = &shared;
        #[expect(unsafe_code, reason = "the race is the point")]
        scope.spawn(move || {
            // SAFETY: none; it is a race.
            unsafe { shared.0.get().write(7) };
            shared.1.store(true, Ordering::Relaxed);
        });
        while !shared.1.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        #[expect(unsafe_code, reason = "the race is the point")]
        // SAFETY: none; it is a race.
        let seen = unsafe { shared.0.get().read() };
        assert_eq!(seen, 7);
    });
}
