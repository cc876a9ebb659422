//! What servers and clients that died left in shared memory.

use halyard_ring::chat::{RingRole, ServerName, control_ring, parse_ring_name};
use halyard_ring::{ProcessId, Removal, RingName, RingView, list_names, remove_dead};

/// The living processes that are attached to a control ring which a group shares.
pub(crate) fn connected_to(name: &RingName) -> Vec<ProcessId> {
    let shared = RingView::open(name).ok().filter(|ring| ring.belonging().group.is_some());
    let producers = shared.map(|ring| ring.inspect().producers).unwrap_or_default();
    producers.into_iter().map(|producer| producer.process).filter(|process| process.is_alive()).collect()
}

/// Removes what a server left that was killed while it made its control ring anew.
pub(crate) fn remove_half_made(server: &ServerName) {
    let Ok(next) = control_ring(server).next() else { return };
    let is_next = |name: &RingName| {
        name.as_str().strip_prefix(next.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    for left in list_names().unwrap_or_default().iter().filter(|name| is_next(name)) {
        if let Err(error) = remove_dead(left) {
            tracing::warn!(ring = left.as_str(), %error, "not removed");
        }
    }
}

/// Removes the reply rings of this server's clients that are dead. The rings of the living are theirs: returns them.
pub(crate) fn remove_dead_replies(server: &ServerName) -> Vec<RingName> {
    let is_ours =
        |name: &RingName| matches!(parse_ring_name(name), Some((of, RingRole::Reply(_))) if of == *server);
    let mut living = Vec::new();
    for name in list_names().unwrap_or_default().into_iter().filter(is_ours) {
        match remove_dead(&name) {
            Ok(Removal::Removed) => {
                tracing::info!(ring = name.as_str(), "removed a dead client's reply ring")
            }
            Ok(Removal::Missing) => {}
            Ok(_) => living.push(name),
            // Its next client of that server removes it: see `halyard_client::session`.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                tracing::debug!(
                    ring = name.as_str(),
                    "a dead client's reply ring is another user's to remove"
                )
            }
            Err(error) => tracing::warn!(ring = name.as_str(), %error, "not removed"),
        }
    }
    living
}
