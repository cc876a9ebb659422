//! One way: one thread sends as fast as there is room, the other takes, checks and counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::trips::{End, Half, Message, STOP, Work};
use crate::failure::Failure;
use crate::place::pin;
use crate::throughput::flow::{Ledger, Stamp};
use crate::timed;

/// Messages taken between two looks at the clock.
const STEP: u64 = 64;

/// Messages a second for this long. The caller takes, pinned to the first processor; the sender gets the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) pair: [usize; 2],
    pub(super) time: Duration,
}

impl Work for Stream {
    type Output = f64;
    // What `throughput` has.
    const DEPTH: u32 = crate::throughput::CAPACITY;

    fn with<H: Half>(self, [near, far]: [H; 2]) -> Result<f64, Failure> {
        let mut near = near.open()?;
        let stop = &CachePadded::new(AtomicBool::new(false));
        thread::scope(|scope| {
            let (ready, is_ready) = mpsc::channel();
            let (met, have_met) = mpsc::channel();
            let (over, is_over) = mpsc::channel::<()>();
            let sender = scope.spawn(move || {
                pin(&self.pair, 1)?;
                let mut end = far.open()?;
                let _ = ready.send(());
                let sent = send(&mut end, &have_met, stop);
                // What the other end has not taken yet may go with this one.
                let _ = is_over.recv();
                sent
            });
            // Not ready: the sender says why when it is joined.
            let taken = is_ready.recv().ok().map(|()| take(&mut near, self.time, met, stop));
            drop((near, over));
            let sent = sender.join().expect("a measurement does not panic");
            match taken {
                // Where the sender failed, this end's failure is a consequence.
                Some(taken) => sent.and(taken),
                None => Err(sent.err().unwrap_or_else(|| Failure::broke("the sender", "ended too early"))),
            }
        })
    }
}

/// Sends until it is told to stop; then the message that says that no more will come. After the first message it waits
/// until that has come: who has not seen the other yet may drop what there is no room for (iceoryx2 does).
fn send(end: &mut impl End, have_met: &mpsc::Receiver<()>, stop: &AtomicBool) -> Result<(), Failure> {
    let mut stamp = Stamp::<WORDS>::new(0);
    let mut sent = end.send(stamp.next());
    if sent.is_ok() {
        // Hung up without a message: the other end has failed, and says to stop.
        let _ = have_met.recv();
    }
    while sent.is_ok() && !stop.load(Ordering::Relaxed) {
        sent = end.send(stamp.next());
    }
    sent.and(end.send([STOP; WORDS]))
}

const WORDS: usize = size_of::<Message>() / size_of::<u64>();

fn take(
    end: &mut impl End,
    time: Duration,
    met: mpsc::Sender<()>,
    stop: &AtomicBool,
) -> Result<f64, Failure> {
    let mut ledger = Ledger::new(1);
    let mut ended = false;
    let mut next = || {
        let message = end.receive()?;
        if message[0] == STOP {
            ended = true;
            return Err(Failure::broke("the sender", "ended too early"));
        }
        ledger.check(&message);
        Ok(())
    };
    let first = next();
    if first.is_ok() {
        let _ = met.send(());
    }
    let rate = first.and_then(|()| {
        timed::rate(time, || {
            for _ in 0..STEP {
                next()?;
            }
            Ok(STEP)
        })
    });
    drop(met);
    stop.store(true, Ordering::Relaxed);
    // The sender may be waiting for room. After a failure of this end there may be no end to see.
    while !ended {
        match end.receive() {
            Ok(message) if message[0] == STOP => ended = true,
            Ok(message) => ledger.check(&message),
            Err(why) => return rate.and(Err(why)),
        }
    }
    ledger.judge(rate?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// One end of a channel. It may lose a message, and it loses all but one until the receiver has had that one.
    enum Channel {
        Out { sender: SyncSender<Message>, loses: Option<u64>, sent: u64, met: Arc<AtomicBool> },
        In { receiver: Receiver<Message>, met: Arc<AtomicBool> },
    }

    impl End for Channel {
        fn send(&mut self, message: Message) -> Result<(), Failure> {
            let Self::Out { sender, loses, sent, met } = self else {
                return Err(Failure::usage("wrong end"));
            };
            *sent += 1;
            let too_early = *sent > 1 && !met.load(Ordering::Relaxed);
            if *loses == Some(message[0]) || too_early && message[0] != STOP {
                return Ok(());
            }
            sender.send(message).map_err(|_| Failure::broke("sending", "nobody is there"))
        }

        fn receive(&mut self) -> Result<Message, Failure> {
            let Self::In { receiver, met } = self else { return Err(Failure::usage("wrong end")) };
            let message = receiver.recv().map_err(|_| Failure::broke("receiving", "nobody is there"))?;
            if !met.load(Ordering::Relaxed) {
                // Time for a sender that does not wait to send more.
                thread::sleep(Duration::from_millis(5));
                met.store(true, Ordering::Relaxed);
            }
            Ok(message)
        }
    }

    fn ends(loses: Option<u64>) -> [Channel; 2] {
        let (sender, receiver) = sync_channel(4);
        let met = Arc::new(AtomicBool::new(false));
        let out = Channel::Out { sender, loses, sent: 0, met: met.clone() };
        [Channel::In { receiver, met }, out]
    }

    fn stream(pair: [usize; 2], ends: [Channel; 2]) -> Result<f64, Failure> {
        Stream { pair, time: Duration::from_millis(2) }.with(ends)
    }

    #[test]
    fn nothing_is_lost_before_both_ends_have_met_and_what_is_lost_later_is_a_failure() {
        let cpu = halyard_ring::cpus()[0];
        assert!(stream([cpu; 2], ends(None)).unwrap() > 0.0);
        let why = stream([cpu; 2], ends(Some(3))).unwrap_err();
        assert!(why.to_string().contains("lost"), "{why}");
    }

    #[test]
    fn a_sender_that_cannot_start_or_go_on_says_why() {
        let cpu = halyard_ring::cpus()[0];
        let why = stream([cpu, 99_999], ends(None)).unwrap_err();
        assert!(why.to_string().contains("99999"), "{why}");
        // Both ends take: the one that is to send cannot.
        let ([one, _], [other, _]) = (ends(None), ends(None));
        let why = stream([cpu; 2], [one, other]).unwrap_err();
        assert!(why.to_string().contains("wrong end"), "{why}");
    }
}
