//! Halyard's ring as one of them: two rings in shared memory.

use std::time::Duration;

use halyard_ring::{Consumer, Producer, RingOptions, Wait};
use hdrhistogram::Histogram;

use super::trips::{self, End, Message};
use crate::failure::{Failure, While as _};
use crate::record::Named;

/// How long one record may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Slots of each ring: what `hop` has.
const CAPACITY: u32 = 64;

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

/// Measures round trips through two rings.
pub(super) fn trips(pair: [usize; 2], wait: Wait, time: Duration) -> Result<Histogram<u64>, Failure> {
    let named = || Named::<Message>::create(&RingOptions::spsc(CAPACITY));
    let (out, back) = (named()?, named()?);
    let end = |to: &Named<Message>, from: &Named<Message>| {
        let mut producer = to.ring().producer().doing("attaching to a ring")?;
        let mut consumer = from.ring().consumer().doing("attaching to a ring")?;
        producer.set_wait(wait);
        consumer.set_wait(wait);
        Ok(RingEnd { producer, consumer })
    };
    trips::between(pair, [end(&out, &back)?, end(&back, &out)?], time)
}
