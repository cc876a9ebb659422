//! The records that are sent to and fro, and rings of them whose names go when the measurement does.

use std::sync::atomic::{AtomicU32, Ordering};

use halyard_ring::{Record, Ring, RingName, RingOptions};

use crate::failure::{Failure, While as _};

/// A record of `WORDS` words of eight bytes.
pub(crate) type Words<const WORDS: usize> = [u64; WORDS];

/// The record sizes that can be measured, bytes: with its 8 bytes of state word a slot is 1, 2, 4, 8, 16 lines.
pub(crate) const RECORDS: [usize; 5] = [56, 120, 248, 504, 1016];

/// Bytes of a slot's state word.
pub(crate) const STATE: usize = 8;

/// Calls a function that is generic over the record with the record of this many bytes.
macro_rules! with_record {
    ($bytes:expr, $function:ident($($argument:expr),*)) => {
        match $bytes {
            56 => $function::<7>($($argument),*),
            120 => $function::<15>($($argument),*),
            248 => $function::<31>($($argument),*),
            504 => $function::<63>($($argument),*),
            1016 => $function::<127>($($argument),*),
            other => Err(Failure::usage(format_args!(
                "no record of {other} bytes: choose from {:?}",
                $crate::record::RECORDS
            ))),
        }
    };
}
pub(crate) use with_record;

/// A ring in shared memory whose names go when this does.
pub(crate) struct Named<R: Record>(Ring<R>);

impl<R: Record> Named<R> {
    pub(crate) fn create(options: &RingOptions) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bench-{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = RingName::new(&name).doing("naming a ring")?;
        Ring::create(&name, options).map(Self).doing(format_args!("creating the ring {name}"))
    }

    pub(crate) fn ring(&self) -> &Ring<R> {
        &self.0
    }

    pub(crate) fn name(&self) -> &RingName {
        self.0.name().expect("a created ring has a name")
    }
}

impl<R: Record> Drop for Named<R> {
    fn drop(&mut self) {
        // Wakes the other side, should it still wait.
        self.0.close();
        let _ = self.0.unlink();
    }
}
