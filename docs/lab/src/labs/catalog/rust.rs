//! Labs 7 to 10: the Rust exercises, each judged by its own harness.

use crate::labs::{Answer, AnswerFile};

pub(super) const CURSORS: AnswerFile = AnswerFile {
    name: "cursors.rs",
    starter: file!("07-false-sharing", "cursors.rs"),
    kind: Answer::Rust { harness: file!("07-false-sharing", "harness.rs") },
    advice: &[],
};

pub(super) const ORDERED: AnswerFile = AnswerFile {
    name: "ring.rs",
    starter: file!("08-memory-ordering", "ring.rs"),
    kind: Answer::Rust { harness: file!("08-memory-ordering", "harness.rs") },
    advice: &[],
};

pub(super) const SENDER: AnswerFile = AnswerFile {
    name: "sender.rs",
    starter: file!("09-backpressure", "sender.rs"),
    kind: Answer::Rust { harness: file!("09-backpressure", "harness.rs") },
    advice: &[],
};

pub(super) const TAILS: AnswerFile = AnswerFile {
    name: "tails.rs",
    starter: file!("10-tails", "tails.rs"),
    kind: Answer::Rust { harness: file!("10-tails", "harness.rs") },
    advice: &[],
};
