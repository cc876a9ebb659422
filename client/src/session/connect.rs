//! The handshake.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use halyard_ring::chat::{ErrorCode, Kind, Record, SCHEMA, control_ring, flags};
use halyard_ring::{AttachError, Belonging, Consumer, OpenError, PopError, ProcessId, PushError, Ring};

use super::reply::{Reply, holder_lives};
use super::uplink::Uplink;
use super::{Limits, Past, Receiver, Sender};
use crate::command::numbered;
use crate::error::ConnectError;
use crate::options::ClientOptions;

/// HELLO is sent again after this long without an answer.
const HELLO_AGAIN: Duration = Duration::from_secs(1);
/// How long a server that is just starting has before its control ring is looked for again.
const STARTING: Duration = Duration::from_millis(5);
/// How long a control ring that cannot be is looked at again: a living server notices, and makes a new one.
const DAMAGED: Duration = Duration::from_secs(2);
/// How long a control ring that may not be opened is looked at again: its server may be about to share it.
const SHARING: Duration = Duration::from_millis(100);
/// How often, while HELLO waits for its answer, it is looked whether the control ring was made anew.
const ANEW: Duration = Duration::from_millis(50);
/// How many numbered nicks are tried.
const NUMBERS: u32 = 999;

/// Connects to a server and returns the session's two halves.
///
/// With [`unique_nick`](ClientOptions::unique_nick) a nick that is taken becomes `nick-2`, `nick-3` and so on; see
/// [`Receiver::nick`].
///
/// # Errors
/// See [`ConnectError`]; each says what to do.
pub fn connect(options: &ClientOptions) -> Result<(Sender, Receiver), ConnectError> {
    resume(options, &mut Past::new())
}

/// [`connect`] for a client that has lost its server: it goes on with its `past`, so that what it sends again
/// ([`Sender::resend`]) is heard once by whoever was there, and it hears nothing twice itself. If it succeeds, the two
/// halves have what was in `past`; see [`Past::of`].
///
/// # Errors
/// As [`connect`]; `past` is then as it was.
pub fn resume(options: &ClientOptions, past: &mut Past) -> Result<(Sender, Receiver), ConnectError> {
    let deadline = Instant::now() + options.connect_timeout;
    let mut number = 1;
    if let Some(home) = &options.companion_of {
        return attempt(options, &home.nick(), past, deadline);
    }
    loop {
        let nick = if number == 1 { options.nick.clone() } else { numbered(&options.nick, number) };
        match attempt(options, &nick, past, deadline) {
            Err(ConnectError::NickTaken { .. }) if options.unique_nick && number < NUMBERS => number += 1,
            other => return other,
        }
    }
}

fn attempt(
    options: &ClientOptions,
    nick: &str,
    past: &mut Past,
    deadline: Instant,
) -> Result<(Sender, Receiver), ConnectError> {
    if let Err(why) = halyard_ring::chat::check_name(nick) {
        return Err(ConnectError::NickInvalid { nick: nick.to_owned(), why });
    }
    let (control, creator) = open_control(options, deadline)?;
    let mut producer = control.producer().map_err(|error| match error {
        AttachError::OwnersFull { .. } => ConnectError::ServerFull { text: error.to_string() },
        AttachError::Closed => ConnectError::NoServer { server: options.server.clone() },
        error => ConnectError::Attach(error),
    })?;
    producer.set_wait(options.wait);
    let mut uplink = Uplink::new(producer);
    let reply = Arc::new(Reply::create(&options.server, options.ring_capacity, control, creator)?);
    let mut consumer = reply.ring().consumer().map_err(ConnectError::Attach)?;
    consumer.set_wait(options.wait);
    reply.beat();

    let name = reply.ring().name().map_or_else(String::new, ToString::to_string);
    let (policy, limit) = options.policy.wire();
    let nonce = RandomState::new().hash_one(&name);
    let mut hello = match &options.companion_of {
        None => Record::hello(nick, &name, policy, limit, nonce),
        Some(home) => {
            let first = home.identity();
            let mut hello = Record::hello("", &name, policy, limit, nonce);
            (hello.flags, hello.client, hello.room) = (flags::COMPANION, first.client, first.token);
            hello
        }
    };
    hello.room_seq = past.origin;
    #[cfg(feature = "faults")]
    halyard_ring::faults::pass(halyard_ring::faults::Point::BeforeHello);
    let welcome = greet(options, &hello, &mut uplink, &mut consumer, &reply, deadline)?;
    match welcome.check().map(|message| (message.kind, message.text)) {
        Ok((Kind::Welcome, _)) => {}
        Ok((Kind::Refused, text)) => return Err(refused(welcome.code, nick, text)),
        _ => return Err(ConnectError::Confused),
    }
    reply.hide();
    let limits = Limits::from(welcome.welcome());
    let past = std::mem::take(past);
    let next_text = past.next_text;
    let receiver = Receiver::new(consumer, Arc::clone(&reply), limits, &welcome, nick.to_owned(), past);
    let (client, token) = (welcome.client, welcome.generation);
    let sender = Sender::new(uplink, reply, limits, client, token, next_text, options.send_timeout);
    Ok((sender, receiver))
}

/// Opens the control ring of a living server. Returns the server's process, too.
fn open_control(
    options: &ClientOptions,
    deadline: Instant,
) -> Result<(Ring<Record>, ProcessId), ConnectError> {
    let no_server = || ConnectError::NoServer { server: options.server.clone() };
    let no_access = |whose: Option<Belonging>| {
        whose.map(|whose| ConnectError::NoAccess {
            server: options.server.clone(),
            whose,
            asked: options.group,
        })
    };
    let (begun, patience) = (Instant::now(), deadline.min(Instant::now() + DAMAGED));
    loop {
        let error = match Ring::<Record>::open(&control_ring(&options.server)) {
            // What a killed server left looks like a control ring, too.
            Ok(_) if !holder_lives(&options.server) => return Err(no_server()),
            Ok(ring) if !may_trust(ring.belonging(), options) => {
                return Err(no_access(ring.belonging()).unwrap_or_else(no_server));
            }
            Ok(ring) => match ring.creator() {
                Some(creator) if creator.is_alive() && !ring.is_closed() => match ring.schema() {
                    SCHEMA => return Ok((ring, creator)),
                    found => Some(ConnectError::Schema { found }),
                },
                // The server is going; or somebody has overwritten it or closed it, and there will be a new one.
                _ if Instant::now() >= patience => return Err(no_server()),
                _ => None,
            },
            Err(OpenError::NotFound { .. }) => return Err(no_server()),
            Err(OpenError::NotReady { .. }) if Instant::now() >= deadline => return Err(no_server()),
            Err(OpenError::NotReady { .. }) => None,
            // A moment after it was made it may be its user's alone, and another one a moment later.
            Err(OpenError::Os { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied && begun.elapsed() >= SHARING =>
            {
                let whose = Belonging::of(&control_ring(&options.server)).ok().flatten();
                return Err(no_access(whose).unwrap_or_else(no_server));
            }
            Err(OpenError::Os { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => None,
            // The ring of a dead server is being removed, or replaced, this very moment: some of its names are gone.
            Err(_) if !holder_lives(&options.server) => return Err(no_server()),
            // Or that of a living one was damaged, or is another version's.
            Err(error) => Some(ConnectError::ControlRing(error)),
        };
        match error {
            Some(error) if Instant::now() >= patience => return Err(error),
            _ => std::thread::sleep(STARTING),
        }
    }
}

/// Whether a server is this user's own, or shared with the group that was asked for: nobody else's is to be taken for it
/// because it has the name.
fn may_trust(whose: Option<Belonging>, options: &ClientOptions) -> bool {
    whose.is_some_and(|whose| match options.group {
        Some(group) => whose.group == Some(group),
        None => whose.is_mine(),
    })
}

/// Sends HELLO until something comes back.
fn greet(
    options: &ClientOptions,
    hello: &Record,
    uplink: &mut Uplink,
    consumer: &mut Consumer<Record>,
    reply: &Reply,
    deadline: Instant,
) -> Result<Record, ConnectError> {
    let no_server = || ConnectError::NoServer { server: options.server.clone() };
    let no_answer = || ConnectError::NoAnswer {
        server: options.server.clone(),
        pid: reply.creator().pid(),
        waited: options.connect_timeout,
    };
    let began = Instant::now();
    loop {
        let mut until = deadline.min(Instant::now() + HELLO_AGAIN);
        match uplink.producer.push_prefix_timeout(hello, hello.used(), until - Instant::now()) {
            Ok(()) | Err(PushError::TimedOut(()) | PushError::Full(())) => {}
            Err(error) => {
                if uplink.follow(reply) {
                    continue;
                }
                // The server is going, or is about to notice that somebody has damaged its control ring.
                if began.elapsed() >= DAMAGED && matches!(error, PushError::Closed(())) {
                    return Err(no_server());
                }
                until = until.min(Instant::now() + ANEW);
            }
        }
        #[cfg(feature = "faults")]
        halyard_ring::faults::pass(halyard_ring::faults::Point::AfterHello);
        loop {
            match consumer.try_pop() {
                Ok(record) => return Ok(record),
                Err(PopError::Closed) => return Err(no_server()),
                Err(PopError::Empty | PopError::TimedOut) => {}
                Err(_) => consumer.skip_damaged(),
            }
            let left = until.saturating_duration_since(Instant::now()).min(ANEW);
            // The end of the server's process ends the wait, too.
            if left.is_zero() || consumer.wait(left) == Ok(false) && !reply.server_lives() {
                break;
            }
            if uplink.follow(reply) {
                // What was in the old ring is lost.
                break;
            }
        }
        reply.beat();
        if !reply.server_lives() {
            return Err(no_server());
        }
        if Instant::now() >= deadline {
            return Err(no_answer());
        }
    }
}

fn refused(code: u16, nick: &str, text: &str) -> ConnectError {
    let text = text.to_owned();
    match ErrorCode::from_wire(code) {
        Some(ErrorCode::NickTaken) => ConnectError::NickTaken { nick: nick.to_owned() },
        Some(ErrorCode::ServerFull) => ConnectError::ServerFull { text },
        Some(code) => ConnectError::Refused { code, text },
        None => ConnectError::Confused,
    }
}
