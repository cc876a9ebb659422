//! A chat client by hand (sections 5 and 6 of the page).

use std::ops::RangeBounds;
use std::time::{Duration, Instant};

use super::LONG;
use super::page::Page;
use super::segment::{Segment, now_ns};
use super::slots::{End, Refused};

/// How long one sleep lasts at most: short enough for a heartbeat in between.
const SLICE: Duration = Duration::from_millis(50);

/// Reads a number of up to 8 bytes out of a structure.
pub(crate) fn get(page: &Page, table: &str, name: &str, bytes: &[u8]) -> u64 {
    let field = page.field(table, name);
    let mut word = [0; 8];
    word[..field.size].copy_from_slice(&bytes[field.offset..field.offset + field.size]);
    u64::from_le_bytes(word)
}

fn set(page: &Page, name: &str, bytes: &mut [u8], value: u64) {
    let field = page.field("Record", name);
    let range = field.offset..field.offset + field.size;
    bytes[range].copy_from_slice(&value.to_le_bytes()[..field.size]);
    assert_eq!(get(page, "Record", name, bytes), value, "{name} is too small for {value}");
}

/// Something that the server sent: one record, or the fragments of one text joined.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) kind: String,
    pub(crate) nick: String,
    pub(crate) text: String,
    /// The (last) record.
    pub(crate) bytes: Vec<u8>,
}

/// A connected client.
pub(crate) struct Client<'p> {
    page: &'p Page,
    control: End<'p>,
    reply: End<'p>,
    /// What WELCOME's body said.
    pub(crate) welcome: Vec<u8>,
    pub(crate) id: u64,
    pub(crate) token: u64,
    command: u64,
    number: u64,
}

/// What is special about a HELLO.
pub(crate) struct Hello<'a> {
    /// Slots of the reply ring.
    pub(crate) slots: u32,
    /// Fields of the record that are other than usual.
    pub(crate) fields: &'a [(&'a str, u64)],
}

/// Nothing special: a policy that drops, of which the least is known.
pub(crate) const USUAL: Hello<'_> = Hello { slots: 256, fields: &[] };

/// The origin of every client here that names no other.
pub(crate) const ORIGIN: u64 = 0x0123_4567_89ab_cdef;
/// The nonce of every HELLO here; each reply ring has one HELLO only.
const NONCE: u64 = 0x5eed;

impl<'p> Client<'p> {
    /// Makes the reply ring and shakes hands. `Err`: the REFUSED.
    pub(crate) fn connect(
        page: &'p Page,
        server: &str,
        ring: &str,
        nick: &str,
        special: Hello<'_>,
    ) -> Result<Self, Seen> {
        let reply = End::consumer(Segment::create(page, ring, special.slots).expect("a new reply ring"));
        reply.segment.beat();
        let control = Segment::open(page, &format!("{server}.control")).expect("the server's control ring");
        assert_eq!(control.get("schema"), page.value("Fixed numbers", "CHAT_SCHEMA"));
        let control = End::producer(control);
        let (id, token, command, number) = (0, 0, 2, 0);
        let mut client = Self { page, control, reply, welcome: Vec::new(), id, token, command, number };
        client.hello(nick, ring, special.fields);
        let answer = client.next(LONG).expect("an answer to HELLO");
        if answer.kind != "WELCOME" {
            client.disappear();
            return Err(answer);
        }
        client.id = client.get(&answer, "client");
        client.token = client.get(&answer, "generation");
        let body = page.field("Record", "body").offset;
        client.welcome = answer.bytes[body..].to_vec();
        Ok(client)
    }

    /// Sends HELLO; a second time it is the same one.
    pub(crate) fn hello(&mut self, nick: &str, ring: &str, special: &[(&str, u64)]) {
        let usual = [
            ("code", self.page.value("Overflow policies", "Drop")),
            ("generation", self.page.value("Limits", "protocol version")),
            ("number", NONCE),
            ("client", 0),
            ("room_seq", ORIGIN),
        ];
        let fields: Vec<_> = usual.iter().chain(special).copied().collect();
        self.send_as(1, "HELLO", nick, ring, &fields);
    }

    /// Goes over to the control ring that the same server has made anew (section 6.8).
    pub(crate) fn reopen(&mut self) {
        let name = self.control.segment.name.clone();
        let renewed = Segment::open(self.page, &name).expect("the server's new control ring");
        assert_eq!(renewed.get("creator"), self.control.segment.get("creator"), "of the same server");
        assert_ne!(renewed.get("epoch"), self.control.segment.get("epoch"), "another one");
        assert_eq!(renewed.get("renewals"), self.control.segment.get("renewals") + 1);
        self.control = End::producer(renewed);
    }

    /// A field of what came.
    pub(crate) fn get(&self, seen: &Seen, name: &str) -> u64 {
        get(self.page, "Record", name, &seen.bytes)
    }

    /// Sends a command and returns its number.
    pub(crate) fn send(&mut self, kind: &str, nick: &str, text: &str, fields: &[(&str, u64)]) -> u64 {
        let number = self.take_number();
        self.send_as(number, kind, nick, text, fields);
        number
    }

    /// Sends a command under this number.
    pub(crate) fn send_as(
        &mut self,
        number: u64,
        kind: &str,
        nick: &str,
        text: &str,
        fields: &[(&str, u64)],
    ) {
        self.send_fragments(number, kind, nick, text, fields, ..);
    }

    /// Sends some of a command's fragments.
    pub(crate) fn send_fragments(
        &mut self,
        number: u64,
        kind: &str,
        nick: &str,
        text: &str,
        fields: &[(&str, u64)],
        which: impl RangeBounds<usize>,
    ) {
        let page = self.page;
        let body = page.field("Record", "body");
        let pieces = cut(nick.len(), text, page.value("Limits", "body") as usize);
        let sent = now_ns();
        for (index, piece) in pieces.iter().enumerate().filter(|(index, _)| which.contains(index)) {
            let nick = if index == 0 { nick } else { "" };
            let mut record = vec![0; page.value("Fixed numbers", "CHAT_RECORD") as usize];
            let head = [
                ("kind", page.value("Kinds", kind)),
                ("len", (nick.len() + piece.len()) as u64),
                ("command", number),
                ("client", self.id),
                ("generation", self.token),
                ("nick_len", nick.len() as u64),
                ("frag", index as u64),
                ("frags", pieces.len() as u64),
                ("sent_ns", sent),
            ];
            for (name, value) in head.iter().chain(fields) {
                set(page, name, &mut record, *value);
            }
            let used = body.offset + nick.len() + piece.len();
            record[body.offset..][..nick.len()].copy_from_slice(nick.as_bytes());
            record[body.offset + nick.len()..used].copy_from_slice(piece.as_bytes());
            self.control.push_sleeping(&record[..used], LONG).expect("room in the control ring");
        }
    }

    /// What comes next, at most `limit` from now. `Err` if nothing does, or the ring is closed.
    pub(crate) fn next(&mut self, limit: Duration) -> Result<Seen, Refused> {
        let until = Instant::now() + limit;
        let mut whole: Option<Seen> = None;
        loop {
            self.reply.segment.beat();
            let bytes = match self.reply.pop_sleeping(SLICE).0 {
                Ok(bytes) => bytes,
                Err(Refused::Empty) if Instant::now() < until => continue,
                Err(other) => return Err(other),
            };
            let part = self.parse(bytes);
            let (frag, frags) = (self.get(&part, "frag"), self.get(&part, "frags"));
            let seen = match whole.take() {
                None => part,
                Some(mut first) => {
                    first.text.push_str(&part.text);
                    Seen { bytes: part.bytes, ..first }
                }
            };
            if frag + 1 == frags {
                return Ok(seen);
            }
            whole = Some(seen);
        }
    }

    fn parse(&mut self, bytes: Vec<u8>) -> Seen {
        let page = self.page;
        let field = |name| get(page, "Record", name, &bytes);
        let kind = page
            .names("Kinds")
            .iter()
            .find(|kind| page.value("Kinds", kind) == field("kind"))
            .expect("a kind of the page");
        if kind == "REFUSED" {
            assert_eq!(field("number"), 0);
        } else {
            let first = match &**kind {
                "LOST" => {
                    get(page, "Body of LOST", "first_number", &bytes[page.field("Record", "body").offset..])
                }
                _ => field("number"),
            };
            assert_eq!(first, self.number + 1, "records are numbered without holes, or the hole is told");
            self.number = field("number");
        }
        let body = &bytes[page.field("Record", "body").offset..][..field("len") as usize];
        let is_text = !matches!(&**kind, "WELCOME" | "LOST");
        let (nick, text) =
            if is_text { body.split_at(field("nick_len") as usize) } else { (&body[..0], &body[..0]) };
        let [nick, text] = [nick, text].map(|part| String::from_utf8(part.to_vec()).expect("UTF-8"));
        Seen { kind: kind.clone(), nick, text, bytes }
    }

    /// The next record of this kind; others are passed over.
    #[track_caller]
    pub(crate) fn await_kind(&mut self, kind: &str) -> Seen {
        loop {
            match self.next(LONG) {
                Ok(seen) if seen.kind == kind => return seen,
                Ok(_) => {}
                Err(error) => panic!("no {kind}: {error:?}"),
            }
        }
    }

    /// The answer to a command, and what came before it.
    #[track_caller]
    pub(crate) fn answer(&mut self, number: u64) -> (Seen, Vec<Seen>) {
        let mut before = Vec::new();
        loop {
            let seen = self.next(LONG).expect("an answer");
            if matches!(&*seen.kind, "ACK" | "ERROR") && self.get(&seen, "command") == number {
                return (seen, before);
            }
            before.push(seen);
        }
    }

    /// Sleeps on `ready` until a record is there; says whether a token ended the sleep.
    pub(crate) fn sleep(&mut self) -> bool {
        self.reply.segment.beat();
        let (record, woken) = self.reply.pop_sleeping(LONG);
        self.parse(record.expect("a record"));
        woken
    }

    /// The next record, waited for without a heartbeat.
    pub(crate) fn await_without_beat(&mut self) -> Seen {
        let record = self.reply.pop_sleeping(LONG).0;
        self.parse(record.expect("a record"))
    }

    /// The number of the last record that waits for this client or was lost to it (section 6.4).
    pub(crate) fn note(&self) -> u64 {
        self.reply.segment.get("peer_note")
    }

    /// A number for a command.
    pub(crate) fn take_number(&mut self) -> u64 {
        self.command += 1;
        self.command - 1
    }

    /// Leaves the control ring. The reply ring's names go with its segment.
    pub(crate) fn disappear(self) {
        self.control.leave();
        self.reply.leave();
    }
}

/// Pieces of a text, cut between characters; the first leaves room for a nick.
fn cut(nick: usize, text: &str, body: usize) -> Vec<&str> {
    let (mut rest, mut room, mut pieces) = (text, body - nick, Vec::new());
    while rest.len() > room {
        let at = (0..=room).rev().find(|&at| rest.is_char_boundary(at)).expect("0 is a boundary");
        pieces.push(&rest[..at]);
        (rest, room) = (&rest[at..], body);
    }
    pieces.push(rest);
    pieces
}
