//! Halyard's ring as one of them: two rings in shared memory.

use std::time::Duration;

use halyard_ring::{Consumer, Producer, RingOptions, Wait};

use super::trips::{End, Message, Work};
use crate::failure::{Failure, While as _};
use crate::record::Named;

/// How long one record may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

struct RingEnd {
    producer: Producer<Message>,
    consumer: Consumer<Message>,
}

impl End for RingEnd {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.producer.push_timeout(message, PATIENCE).map_err(|why| Failure::broke("pushing a record", why))
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        self.consumer.pop_timeout(PATIENCE).doing("waiting for a record")
    }
}

/// Slots of a ring, at least: what `hop` has.
const CAPACITY: u32 = 64;

/// Does `work` with the ends of two rings whose threads wait so.
pub(super) fn with<W: Work>(wait: Wait, work: W) -> Result<W::Output, Failure> {
    let named = || Named::<Message>::create(&RingOptions::spsc(W::DEPTH.max(CAPACITY)));
    let (out, back) = (named()?, named()?);
    let end = |to: &Named<Message>, from: &Named<Message>| {
        let mut producer = to.ring().producer().doing("attaching to a ring")?;
        let mut consumer = from.ring().consumer().doing("attaching to a ring")?;
        producer.set_wait(wait);
        consumer.set_wait(wait);
        Ok(RingEnd { producer, consumer })
    };
    work.with([end(&out, &back)?, end(&back, &out)?])
}
