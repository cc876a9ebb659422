//! How values are written: on the command line and in the configuration file.

use std::str::FromStr;
use std::time::Duration;

use halyard_ring::chat::{BadName, check_name};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Checks the name of a room or of a person on the command line.
pub(crate) fn name(text: &str) -> Result<String, BadName> {
    check_name(text).map(|()| text.to_owned())
}

/// Parses a time in seconds, with a fraction if you like.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// Something that is written as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        word.parse().map(Self).map_err(|why: T::Err| D::Error::custom(format!("{word:?}: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_must_make_sense() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["", "x", "-1", "inf", "nan", "1e300"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
