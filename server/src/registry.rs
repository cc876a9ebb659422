//! The registries of clients and rooms. The router alone writes them; everyone else reads.
//!
//! They stand behind [`ShardedLock`]s, which readers on different threads take without sharing a cache line. What the
//! router needs for a message (a client's room, a room's counters) it reaches through `Arc`s of its own, so no lock is
//! taken per message.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use crossbeam_utils::sync::{ShardedLock, ShardedLockReadGuard, ShardedLockWriteGuard};
use halyard_ring::chat::Record;
use halyard_ring::{ProcessId, Ring};

use crate::spill::Overflow;

/// What stays the same for a client's whole session.
pub(crate) struct Client {
    /// Never given to another client while the server lives (see [`Clients::admit`]).
    pub(crate) id: u32,
    /// What the client must send with every record.
    pub(crate) token: u32,
    /// Its place in every table.
    pub(crate) slot: u32,
    /// The slot of the session that it is a companion of.
    pub(crate) first: Option<u32>,
    /// The broadcaster that serves it.
    pub(crate) broadcaster: usize,
    pub(crate) process: ProcessId,
    pub(crate) ring: Ring<Record>,
    pub(crate) overflow: Overflow,
}

/// A room. The router alone changes the counters.
pub(crate) struct Room {
    pub(crate) id: u32,
    pub(crate) slot: u32,
    pub(crate) name: Box<str>,
    seq: AtomicU64,
    members: AtomicU32,
    /// Members at each broadcaster.
    at: Box<[AtomicU32]>,
}

impl Room {
    /// Number of the last message.
    pub(crate) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    /// Takes the next message's number. Only the router calls this: a plain load and store do.
    pub(crate) fn next_seq(&self) -> u64 {
        let seq = self.seq() + 1;
        self.seq.store(seq, Ordering::Relaxed);
        seq
    }

    pub(crate) fn members(&self) -> u32 {
        self.members.load(Ordering::Relaxed)
    }

    pub(crate) fn members_at(&self, broadcaster: usize) -> u32 {
        self.at[broadcaster].load(Ordering::Relaxed)
    }

    fn change(&self, broadcaster: usize, by: i32) {
        for counter in [&self.members, &self.at[broadcaster]] {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add_signed(by), Ordering::Relaxed);
        }
    }
}

/// A connected client and what may change about it.
pub(crate) struct Present {
    pub(crate) client: Arc<Client>,
    pub(crate) nick: Arc<str>,
    pub(crate) room: Option<Arc<Room>>,
}

/// All clients, by slot and by nick.
pub(crate) struct Clients {
    slots: Vec<Option<Present>>,
    /// How many slots are taken.
    count: u32,
    by_nick: HashMap<Arc<str>, u32>,
    /// In the order in which they became free, so that ids are used again as late as possible.
    free: VecDeque<u32>,
    /// How often each slot was given out.
    rounds: Vec<u32>,
    /// Slots rounded up to a power of two: ids count rounds in steps of this.
    step: u32,
}

impl Clients {
    fn new(max: u32) -> Self {
        Self {
            slots: (0..max).map(|_| None).collect(),
            count: 0,
            by_nick: HashMap::new(),
            free: (0..max).collect(),
            rounds: vec![0; max as usize],
            step: max.next_power_of_two(),
        }
    }

    /// A free slot and the id of its next client. An id is slot + 1 and, in its higher bits, the slot's round: it comes
    /// again only after 2^32 / slots clients in that one slot.
    pub(crate) fn reserve(&self) -> Option<(u32, u32)> {
        let slot = *self.free.front()?;
        let round = self.rounds[slot as usize].wrapping_mul(self.step);
        Some((slot, round.wrapping_add(slot).wrapping_add(1)))
    }

    /// The slot that a client of this id would have.
    pub(crate) fn slot_of(&self, id: u32) -> u32 {
        id.wrapping_sub(1) & (self.step - 1)
    }

    /// Enters a client into the slot that was [reserved](Self::reserve) for it.
    /// A companion goes by the nick of its first session, which alone is found by it.
    pub(crate) fn admit(&mut self, client: Arc<Client>, nick: Arc<str>) {
        let slot = client.slot;
        debug_assert_eq!(self.free.front(), Some(&slot));
        self.free.pop_front();
        self.rounds[slot as usize] = self.rounds[slot as usize].wrapping_add(1);
        if client.first.is_none() {
            self.by_nick.insert(Arc::clone(&nick), slot);
        }
        self.count += 1;
        self.slots[slot as usize] = Some(Present { client, nick, room: None });
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if let Some(present) = self.slots[slot as usize].take() {
            if present.client.first.is_none() {
                self.by_nick.remove(&present.nick);
            }
            self.count -= 1;
            self.free.push_back(slot);
        }
    }

    pub(crate) fn rename(&mut self, slot: u32, nick: Arc<str>) {
        if let Some(present) = &mut self.slots[slot as usize] {
            if present.client.first.is_none() {
                self.by_nick.remove(&present.nick);
                self.by_nick.insert(Arc::clone(&nick), slot);
            }
            present.nick = nick;
        }
    }

    pub(crate) fn by_nick(&self, nick: &str) -> Option<&Present> {
        self.by_nick.get(nick).and_then(|&slot| self.at(slot))
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Present> {
        self.at(self.slot_of(id)).filter(|present| present.client.id == id)
    }

    pub(crate) fn at(&self, slot: u32) -> Option<&Present> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn set_room(&mut self, slot: u32, room: Option<Arc<Room>>) {
        if let Some(present) = &mut self.slots[slot as usize] {
            present.room = room;
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Present> {
        self.slots.iter().flatten()
    }
}

/// A room and who is in it, in the order in which they came.
pub(crate) struct Open {
    pub(crate) room: Arc<Room>,
    pub(crate) members: Vec<u32>,
}

/// All rooms, by slot and by name.
pub(crate) struct Rooms {
    slots: Vec<Option<Open>>,
    by_name: HashMap<Box<str>, u32>,
    free: Vec<u32>,
    next_id: u32,
    max: u32,
}

impl Rooms {
    fn new(max: u32) -> Self {
        Self { slots: Vec::new(), by_name: HashMap::new(), free: Vec::new(), next_id: 1, max }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Open> {
        self.by_name.get(name).and_then(|&slot| self.at(slot))
    }

    pub(crate) fn at(&self, slot: u32) -> Option<&Open> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Whether one more room would be too many, after `leaving` rooms are closed.
    pub(crate) fn is_full(&self, leaving: u32) -> bool {
        self.len() - leaving >= self.max
    }

    /// The room of this name, opened if need be.
    pub(crate) fn open(&mut self, name: &str, broadcasters: usize) -> Arc<Room> {
        if let Some(open) = self.by_name(name) {
            return Arc::clone(&open.room);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        let room = Arc::new(Room {
            id: self.next_id,
            slot,
            name: name.into(),
            seq: AtomicU64::new(0),
            members: AtomicU32::new(0),
            at: (0..broadcasters).map(|_| AtomicU32::new(0)).collect(),
        });
        // 0 means no room. After four thousand million rooms the numbers begin again.
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.by_name.insert(name.into(), slot);
        self.slots[slot as usize] = Some(Open { room: Arc::clone(&room), members: Vec::new() });
        room
    }

    pub(crate) fn enter(&mut self, room: &Room, client: &Client) {
        if let Some(open) = &mut self.slots[room.slot as usize] {
            open.members.push(client.slot);
            room.change(client.broadcaster, 1);
        }
    }

    /// Takes a client out of a room and closes the room when it was the last.
    pub(crate) fn leave(&mut self, room: &Room, client: &Client) {
        let Some(open) = &mut self.slots[room.slot as usize] else { return };
        let Some(index) = open.members.iter().position(|&slot| slot == client.slot) else { return };
        open.members.remove(index);
        room.change(client.broadcaster, -1);
        if open.members.is_empty() {
            self.slots[room.slot as usize] = None;
            self.by_name.remove(&room.name);
            self.free.push(room.slot);
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.by_name.len() as u32
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Open> {
        self.slots.iter().flatten()
    }
}

/// Both registries.
pub(crate) struct Registry {
    clients: ShardedLock<Clients>,
    rooms: ShardedLock<Rooms>,
}

impl Registry {
    pub(crate) fn new(clients_max: u32, rooms_max: u32) -> Self {
        Self {
            clients: ShardedLock::new(Clients::new(clients_max)),
            rooms: ShardedLock::new(Rooms::new(rooms_max)),
        }
    }

    pub(crate) fn clients(&self) -> ShardedLockReadGuard<'_, Clients> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the router only.
    pub(crate) fn clients_mut(&self) -> ShardedLockWriteGuard<'_, Clients> {
        self.clients.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rooms(&self) -> ShardedLockReadGuard<'_, Rooms> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the router only.
    pub(crate) fn rooms_mut(&self) -> ShardedLockWriteGuard<'_, Rooms> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected client, as [`Server::clients`](crate::Server::clients) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// Its id.
    pub id: u32,
    /// Its nick.
    pub nick: String,
    /// Its process.
    pub pid: u32,
    /// The room that it is in.
    pub room: Option<String>,
    /// The broadcaster that serves it.
    pub broadcaster: usize,
}

/// An open room, as [`Server::rooms`](crate::Server::rooms) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomInfo {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: u32,
    /// How many messages it has seen.
    pub messages: u64,
}

impl Registry {
    pub(crate) fn client_infos(&self) -> Vec<ClientInfo> {
        let info = |present: &Present| ClientInfo {
            id: present.client.id,
            nick: present.nick.to_string(),
            pid: present.client.process.pid(),
            room: present.room.as_ref().map(|room| room.name.to_string()),
            broadcaster: present.client.broadcaster,
        };
        let mut infos: Vec<_> = self.clients().iter().map(info).collect();
        infos.sort_by_key(|info| info.id);
        infos
    }

    pub(crate) fn room_infos(&self) -> Vec<RoomInfo> {
        let info = |open: &Open| RoomInfo {
            id: open.room.id,
            name: open.room.name.to_string(),
            members: open.room.members(),
            messages: open.room.seq(),
        };
        let mut infos: Vec<_> = self.rooms().iter().map(info).collect();
        infos.sort_by(|a, b| a.name.cmp(&b.name));
        infos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use halyard_ring::RingOptions;
    use halyard_ring::chat::OverflowPolicy;

    fn client(clients: &Clients, broadcaster: usize) -> Arc<Client> {
        let (slot, id) = clients.reserve().unwrap();
        let ring = Ring::heap(&RingOptions::spsc(2));
        let overflow = Overflow { policy: OverflowPolicy::Drop, wait_ns: 0, records: 0 };
        let process = ProcessId::current();
        Arc::new(Client { id, token: 1, slot, first: None, broadcaster, process, ring, overflow })
    }

    #[test]
    fn an_id_is_not_used_again_with_its_slot() {
        let mut clients = Clients::new(3);
        let mut seen = std::collections::HashSet::new();
        for round in 0..10 {
            let client = client(&clients, 0);
            assert!(seen.insert(client.id), "round {round}");
            assert_eq!(clients.slot_of(client.id), client.slot);
            clients.admit(Arc::clone(&client), "ann".into());
            assert!(clients.by_id(client.id).is_some());
            clients.remove(client.slot);
            assert!(clients.by_id(client.id).is_none() && clients.by_nick("ann").is_none());
        }
        assert!(clients.by_id(0).is_none() && clients.by_id(u32::MAX).is_none());
    }

    #[test]
    fn slots_run_out() {
        let mut clients = Clients::new(2);
        for nick in ["a", "b"] {
            clients.admit(client(&clients, 0), nick.into());
        }
        assert!(clients.reserve().is_none());
        clients.rename(0, "c".into());
        assert!(clients.by_nick("a").is_none());
        assert_eq!(clients.by_nick("c").map(|p| p.client.slot), Some(0));
    }

    #[test]
    fn a_room_closes_with_its_last_member_and_its_id_is_gone() {
        let mut clients = Clients::new(2);
        let mut rooms = Rooms::new(1);
        let (ann, bob) = {
            let ann = client(&clients, 0);
            clients.admit(Arc::clone(&ann), "ann".into());
            (ann, client(&clients, 1))
        };
        let room = rooms.open("lobby", 2);
        rooms.enter(&room, &ann);
        rooms.enter(&room, &bob);
        assert_eq!((room.members(), room.members_at(0), room.members_at(1)), (2, 1, 1));
        assert!(rooms.is_full(0) && !rooms.is_full(1));
        rooms.leave(&room, &ann);
        assert_eq!(rooms.by_name("lobby").map(|open| open.members.clone()), Some(vec![bob.slot]));
        rooms.leave(&room, &bob);
        assert!(rooms.by_name("lobby").is_none() && rooms.len() == 0);
        let again = rooms.open("lobby", 2);
        assert_eq!((again.slot, again.seq()), (room.slot, 0));
        assert_ne!(again.id, room.id);
    }
}
