//! The numbers of a record's fields that stand for something: kinds, errors, reasons and policies.

macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vmeta])* $variant = $value),+ }

        impl $name {
            /// The variant with this number, if there is one.
            #[must_use]
            pub const fn from_wire(value: u16) -> Option<Self> {
                match value { $($value => Some(Self::$variant),)+ _ => None }
            }
            /// The number that travels.
            #[must_use]
            pub const fn wire(self) -> u16 { self as u16 }
        }
    };
}

wire_enum! {
    /// What a record is. Below 100: from a client to the server. From 100: from the server to a client.
    Kind {
        /// First record of a client: nick, reply ring, overflow policy.
        Hello = 1,
        /// Enter a room, leaving the former one.
        Join = 2,
        /// A message to the room.
        Say = 3,
        /// A message to one client.
        Dm = 4,
        /// List the members of the room.
        Who = 5,
        /// Leave the room.
        Leave = 6,
        /// Leave for good.
        Quit = 7,
        /// Ask for an ACK and nothing else.
        Ping = 8,
        /// Change the nick.
        Nick = 9,
        /// List the rooms.
        List = 10,
        /// List the last messages of a room.
        History = 11,
        /// HELLO was accepted.
        Welcome = 100,
        /// HELLO was refused, with an [`ErrorCode`].
        Refused = 101,
        /// A command was carried out.
        Ack = 102,
        /// A command was not carried out, with an [`ErrorCode`].
        Error = 103,
        /// A message in the room.
        Message = 104,
        /// A direct message.
        Direct = 105,
        /// Someone entered the room.
        Joined = 106,
        /// Someone left the room.
        Left = 107,
        /// Someone in the room changed nick.
        Renamed = 108,
        /// One entry of WHO's answer.
        Member = 109,
        /// One entry of LIST's answer.
        Room = 110,
        /// Records were lost because this client's ring was full.
        Lost = 111,
        /// The server ends this session.
        Goodbye = 112,
        /// One entry of HISTORY's answer: a message of the room that was said earlier.
        Earlier = 113,
        /// The server has made its control ring anew: open it again, and send again what was not answered.
        Reopen = 114,
    }
}

impl Kind {
    /// Whether clients send this kind.
    #[must_use]
    pub const fn is_command(self) -> bool {
        self.wire() < 100
    }
}

wire_enum! {
    /// Why a command was not carried out.
    ErrorCode {
        /// Another client has this nick.
        NickTaken = 1,
        /// The nick breaks the rules for names.
        NickInvalid = 2,
        /// Client and server speak different protocol versions or record layouts.
        LayoutDiffers = 3,
        /// The server has as many clients as it takes.
        ServerFull = 4,
        /// The command needs a room and the client is in none.
        NotInRoom = 5,
        /// No client has this nick or id.
        NoSuchClient = 6,
        /// The text is longer than the limit.
        TextTooLong = 7,
        /// The text is empty or not UTF-8.
        TextInvalid = 8,
        /// The room name breaks the rules for names.
        RoomInvalid = 9,
        /// The record's fields contradict each other.
        Malformed = 10,
        /// The kind is unknown, or not one that clients send.
        UnknownKind = 11,
        /// The client id is known, the token is not its.
        StaleGeneration = 12,
        /// The reply ring named in HELLO cannot be used.
        RingInvalid = 13,
        /// The recipient's ring is full and its policy drops.
        NotDelivered = 14,
        /// The overflow policy or its limit is more than the server grants.
        PolicyRefused = 15,
        /// The server is shutting down.
        ShuttingDown = 16,
        /// The server has as many rooms as it takes.
        TooManyRooms = 17,
        /// Fragments were missing when another command came, or came out of order.
        FragmentLost = 18,
        /// The room has as many members as the server lets in.
        RoomFull = 19,
        /// The client has more commands under way than the server's window allows.
        TooFast = 20,
        /// Too many clients are connecting at this moment.
        TooManyHellos = 21,
        /// The server's process has hardly any descriptors left.
        DescriptorsLow = 22,
        /// The server's process has hardly any memory mappings left.
        MappingsLow = 23,
        /// The recipient's ring is full, and so is the server's memory for records that wait.
        SpillFull = 24,
        /// The client's process was thrown out for flooding a short while ago.
        Barred = 25,
    }
}

wire_enum! {
    /// Why a client is no longer in a room, or no longer connected.
    LeaveReason {
        /// LEAVE.
        Left = 1,
        /// JOIN of another room.
        Moved = 2,
        /// QUIT.
        Quit = 3,
        /// Its process ended without QUIT.
        Died = 4,
        /// Its heartbeat stopped.
        Hung = 5,
        /// It damaged its reply ring or broke the protocol.
        Misbehaved = 6,
        /// The server shut down.
        Shutdown = 7,
        /// It sent far more commands than it may have under way.
        Flooded = 8,
    }
}

wire_enum! {
    /// What happens to records for a client whose reply ring is full. The client chooses in HELLO.
    OverflowPolicy {
        /// The newest are dropped, and counted in a LOST record.
        Drop = 1,
        /// They wait for at most a bounded time (limit: milliseconds), then count as dropped.
        Block = 2,
        /// They wait in a bounded buffer on the server's side (limit: records), then count as dropped.
        Spill = 3,
    }
}
