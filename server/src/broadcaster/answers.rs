//! The answers that a client got lately, to be given again when it asks again.

use halyard_ring::chat::{ErrorCode, Kind, NAME_MAX, Record};

use crate::wire::error_text;

/// How many answers are kept for each client.
const ANSWERS: usize = 64;

#[derive(Clone, Copy)]
struct Answer {
    /// 0: none.
    command: u64,
    room_seq: u64,
    client: u32,
    room: u32,
    count: u32,
    kind: u16,
    code: u16,
    /// Body and how many bytes of it are the nick; longer bodies, of errors, are made again from the code.
    name: [u8; NAME_MAX],
    len: u8,
    nick_len: u8,
}

const NOTHING: Answer = Answer {
    command: 0,
    room_seq: 0,
    client: 0,
    room: 0,
    count: 0,
    kind: 0,
    code: 0,
    name: [0; NAME_MAX],
    len: 0,
    nick_len: 0,
};

/// The last [`ANSWERS`] answers, by command number.
pub(crate) struct Answers(Box<[Answer; ANSWERS]>);

impl Answers {
    pub(crate) fn new() -> Self {
        Self(Box::new([NOTHING; ANSWERS]))
    }

    /// Keeps an ACK or ERROR.
    pub(crate) fn keep(&mut self, record: &Record) {
        let answer = &mut self.0[record.command as usize % ANSWERS];
        answer.command = record.command;
        answer.room_seq = record.room_seq;
        (answer.client, answer.room, answer.count) = (record.client, record.room, record.count);
        (answer.kind, answer.code) = (record.kind, record.code);
        let len = usize::from(record.len);
        let kept = if len <= NAME_MAX { len } else { 0 };
        answer.name[..kept].copy_from_slice(&record.body[..kept]);
        answer.len = kept as u8;
        answer.nick_len = record.nick_len.min(kept as u8);
    }

    /// The answer to this command, if it was given and is still known.
    pub(crate) fn of(&self, command: u64) -> Option<Record> {
        let answer = &self.0[command as usize % ANSWERS];
        if answer.command != command || command == 0 {
            return None;
        }
        let mut record = Record::new(Kind::Ack);
        (record.kind, record.code, record.command) = (answer.kind, answer.code, command);
        record.room_seq = answer.room_seq;
        (record.client, record.room, record.count) = (answer.client, answer.room, answer.count);
        let len = usize::from(answer.len);
        record.body[..len].copy_from_slice(&answer.name[..len]);
        (record.len, record.nick_len) = (len as u16, answer.nick_len);
        if let (true, 0, Some(code)) =
            (answer.kind == Kind::Error.wire(), len, ErrorCode::from_wire(answer.code))
        {
            record.set_body("", error_text(code));
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(command: u64) -> Record {
        let mut record = Record::new(Kind::Ack);
        (record.command, record.room_seq, record.count) = (command, command * 10, 3);
        record
    }

    #[test]
    fn the_last_answers_are_known_and_older_ones_are_not() {
        let mut answers = Answers::new();
        assert!(answers.of(0).is_none() && answers.of(64).is_none());
        for command in 2..=100 {
            answers.keep(&ack(command));
        }
        assert!(answers.of(36).is_none());
        for command in 37..=100 {
            let again = answers.of(command).unwrap();
            assert_eq!((again.command, again.room_seq, again.count), (command, command * 10, 3));
        }
    }

    #[test]
    fn names_come_again_and_error_texts_are_made_again() {
        let mut answers = Answers::new();
        answers.keep(&ack(2).with_body("bob", ""));
        answers.keep(&ack(3).with_body("", "lobby"));
        let mut error = Record::new(Kind::Error).with_body("", &"long ".repeat(20));
        (error.command, error.code) = (4, ErrorCode::NickTaken.wire());
        answers.keep(&error);
        let said = |command: u64| {
            let record = answers.of(command).unwrap();
            let message = record.check().unwrap();
            (message.nick.to_owned(), message.text.to_owned())
        };
        assert_eq!(said(2), ("bob".into(), String::new()));
        assert_eq!(said(3), (String::new(), "lobby".into()));
        assert_eq!(said(4).1, error_text(ErrorCode::NickTaken));
    }
}
