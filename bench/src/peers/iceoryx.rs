//! iceoryx2: publish-subscribe that is polled, and publish-subscribe with an event that wakes the other side.
//!
//! Configured as its own benchmarks are: a service a way, one publisher and one subscriber, no history; for round trips
//! a buffer of one sample that a newer one may replace, for a stream a buffer of as many samples as the other rings
//! have slots, and a publisher that waits for room. The receiver polls without a pause, as theirs does. Its files lie in
//! a folder of their own, not under /tmp/iceoryx2, so that nothing is shared with other programs and nothing stays.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, process};

use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, Config, FileName, LogLevel, Path, SemanticString as _, ServiceName,
    SignalHandlingMode, ipc, set_log_level,
};
use tempfile::TempDir;

use super::trips::{End, Half, Message, Work};
use crate::failure::{Failure, While as _};
use crate::interrupt;

/// How long one message may take before the other side counts as gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where its files lie: they go when this does, also those that it would leave.
pub(super) struct Place {
    _folder: TempDir,
    config: Config,
    prefix: String,
}

/// An end that is not used yet.
pub(super) struct Named {
    config: Config,
    /// Which of the two ways goes out.
    out: usize,
    depth: u32,
    blocks: bool,
}

impl Place {
    pub(super) fn create() -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // It warns about what it looks for in vain, such as a file of options.
        set_log_level(LogLevel::Error);
        let folder = tempfile::Builder::new().prefix("halyard-bench-").tempdir();
        let folder = folder.doing("making a folder for iceoryx2")?;
        let mut config = Config::default();
        let root = Path::new(folder.path().as_os_str().as_encoded_bytes());
        config.global.set_root_path(&root.doing("naming a folder for iceoryx2")?);
        // Its memory lies in /dev/shm under this.
        let prefix = format!("halyard-bench-{}.{}_", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        config.global.prefix = FileName::new(prefix.as_bytes()).doing("naming memory of iceoryx2")?;
        Ok(Self { _folder: folder, config, prefix })
    }

    /// Two ends for `work`. One that blocks waits for an event before it looks.
    pub(super) fn ends<W: Work>(&self, _work: &W, blocks: bool) -> [Named; 2] {
        [0, 1].map(|out| Named { config: self.config.clone(), out, depth: W::DEPTH, blocks })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A last piece of memory, for all nodes of a prefix, has no end of its own in this version.
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(self.prefix.as_bytes()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

type Service = ipc::Service;

/// An end in use. What is made later is dropped earlier: the node goes last.
pub(super) struct Ports {
    events: Option<(Notifier<Service>, Listener<Service>)>,
    publisher: Publisher<Service, Message, ()>,
    subscriber: Subscriber<Service, Message, ()>,
    _node: Node<Service>,
}

impl Half for Named {
    type End = Ports;

    fn open(self) -> Result<Ports, Failure> {
        let doing = "opening iceoryx2";
        let node = NodeBuilder::new().config(&self.config).signal_handling_mode(SignalHandlingMode::Disabled);
        let node: Node<Service> = node.create().doing(doing)?;
        let name = |what: &str, way: usize| ServiceName::new(&format!("{what}/{way}")).doing(doing);
        let messages = |way| {
            let service = node.service_builder(&name("messages", way)?).publish_subscribe::<Message>();
            let service = service.max_publishers(1).max_subscribers(1).history_size(0);
            let service = match self.depth {
                1 => service.subscriber_max_buffer_size(1).enable_safe_overflow(true),
                depth => service.subscriber_max_buffer_size(depth as usize).enable_safe_overflow(false),
            };
            service.open_or_create().doing(doing)
        };
        let (out, back) = (messages(self.out)?, messages(1 - self.out)?);
        let publisher =
            out.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        let publisher = publisher.create().doing(doing)?;
        let subscriber = back.subscriber_builder().create().doing(doing)?;
        let events = if self.blocks {
            let event = |way| {
                let service = node.service_builder(&name("events", way)?).event();
                service.max_notifiers(1).max_listeners(1).open_or_create().doing(doing)
            };
            let notifier = event(self.out)?.notifier_builder().create().doing(doing)?;
            let listener = event(1 - self.out)?.listener_builder().create().doing(doing)?;
            Some((notifier, listener))
        } else {
            None
        };
        Ok(Ports { events, publisher, subscriber, _node: node })
    }
}

impl End for Ports {
    #[inline]
    fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.publisher.send_copy(message).doing("publishing through iceoryx2")?;
        if let Some((notifier, _)) = &self.events {
            notifier.notify().doing("notifying through iceoryx2")?;
        }
        Ok(())
    }

    #[inline]
    fn receive(&mut self) -> Result<Message, Failure> {
        let mut looks = 0u32;
        let mut since = None;
        loop {
            if let Some((_, listener)) = &self.events {
                listener.timed_wait_one(PATIENCE).doing("waiting for an event of iceoryx2")?;
            }
            if let Some(sample) = self.subscriber.receive().doing("receiving through iceoryx2")? {
                return Ok(*sample);
            }
            looks += 1;
            if self.events.is_some() || looks.is_multiple_of(1 << 16) {
                interrupt::check()?;
                if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(Failure::broke("receiving through iceoryx2", "nothing came"));
                }
            }
        }
    }
}
