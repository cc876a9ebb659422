//! Records that say why something was not done.

use halyard_ring::chat::{BODY, ErrorCode, Kind, Record};

/// What an error means, for people.
pub(crate) fn error_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NickTaken => "another client has this nick",
        ErrorCode::NickInvalid => "a nick is 1 to 32 bytes of visible characters, without spaces",
        ErrorCode::LayoutDiffers => "client and server speak different versions: use programs of one release",
        ErrorCode::ServerFull => "the server has as many clients as it takes (--clients)",
        ErrorCode::NotInRoom => "you are in no room: join one first",
        ErrorCode::NoSuchClient => "nobody has this nick or id",
        ErrorCode::TextTooLong => "the text is longer than 4096 bytes",
        ErrorCode::TextInvalid => "the text is empty or not UTF-8",
        ErrorCode::RoomInvalid => "a room name is 1 to 32 bytes of visible characters, without spaces",
        ErrorCode::Malformed => "the record's fields contradict each other",
        ErrorCode::UnknownKind => "the record's kind is unknown, or not one that clients send",
        ErrorCode::StaleGeneration => "a record with your client id came with a token that is not yours",
        ErrorCode::RingInvalid => "the reply ring cannot be used",
        ErrorCode::NotDelivered => "the recipient's ring is full and the message was dropped",
        ErrorCode::PolicyRefused => "the overflow policy, or its limit, is more than the server grants",
        ErrorCode::ShuttingDown => "the server is shutting down",
        ErrorCode::TooManyRooms => "the server has as many rooms as it takes (--rooms)",
        ErrorCode::FragmentLost => "fragments of the text were missing or out of order",
        ErrorCode::RoomFull => "the room has as many members as the server lets in (--room-members)",
        ErrorCode::TooFast => {
            "too many commands under way: wait for answers, then send this again (--window)"
        }
        ErrorCode::TooManyHellos => "too many clients are connecting at this moment: try again (--hellos)",
        ErrorCode::DescriptorsLow => "the server has hardly any descriptors left: raise its `ulimit -n`",
        ErrorCode::MappingsLow => "the server has hardly any memory mappings left: raise vm.max_map_count",
        ErrorCode::SpillFull => {
            "the recipient's ring is full, and so is the server's memory for what waits (--spill-total)"
        }
        ErrorCode::Barred => {
            "this process was thrown out for flooding a short while ago: wait, and send fewer commands (--window)"
        }
        _ => "the command was not carried out",
    }
}

/// What a HELLO says of itself, as far as it can be read: the nick's bytes, which may be anything, and the reply ring's
/// name, without which nobody can be answered.
pub(crate) fn hello_parts(hello: &Record) -> Option<(&[u8], &str)> {
    let body = hello.body.get(..usize::from(hello.len))?;
    let (nick, ring) = body.split_at_checked(usize::from(hello.nick_len))?;
    Some((nick, core::str::from_utf8(ring).ok()?))
}

/// An ERROR in answer to a command.
pub(crate) fn error_record(code: ErrorCode, command: u64) -> Record {
    refusal(Kind::Error, code, command, error_text(code))
}

/// An ERROR or REFUSED with a text of its own, cut if it is longer than a body.
pub(crate) fn refusal(kind: Kind, code: ErrorCode, command: u64, text: &str) -> Record {
    let mut cut = text.len().min(BODY);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let mut record = Record::new(kind).with_body("", &text[..cut]);
    (record.code, record.command) = (code.wire(), command);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use halyard_ring::chat::{NAME_MAX, TEXT_MAX};

    #[test]
    fn every_error_has_a_text_that_fits_and_names_the_limits() {
        for code in (1..100).filter_map(ErrorCode::from_wire) {
            let record = error_record(code, 7);
            assert_eq!(record.check().unwrap().text, error_text(code));
            assert_ne!(error_text(code), "the command was not carried out", "{code:?}");
        }
        assert!(error_text(ErrorCode::TextTooLong).contains(&TEXT_MAX.to_string()));
        assert!(error_text(ErrorCode::NickInvalid).contains(&NAME_MAX.to_string()));
        assert!(error_text(ErrorCode::RoomInvalid).contains(&NAME_MAX.to_string()));
    }

    #[test]
    fn a_hello_is_read_as_far_as_it_goes() {
        let mut hello = Record::new(Kind::Hello).with_body("ann", "s.reply.1");
        assert_eq!(hello_parts(&hello), Some((&b"ann"[..], "s.reply.1")));
        hello.body[0] = 0xff;
        assert_eq!(hello_parts(&hello), Some((&b"\xffnn"[..], "s.reply.1")));
        hello.nick_len = 13;
        assert_eq!(hello_parts(&hello), None);
        (hello.nick_len, hello.len) = (3, 169);
        assert_eq!(hello_parts(&hello), None);
        (hello.len, hello.body[5]) = (12, 0xff);
        assert_eq!(hello_parts(&hello), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = format!("a{}", "ü".repeat(100));
        let record = refusal(Kind::Refused, ErrorCode::RingInvalid, 1, &text);
        assert_eq!(record.check().unwrap().text, &text[..BODY - 1]);
    }
}
