//! One TLS connection.

use std::{fmt, io::IoSlice, mem, sync::Arc};

use rustls::{
    CommonState, HandshakeKind, NamedGroup, ProtocolVersion,
    client::UnbufferedClientConnection,
    pki_types::ServerName,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic},
};

use crate::{
    ClientConfig, ConfigError, Error, Handshake, PROTOCOL, ServerConfig,
    handshake::Certificate,
    limits::{KEPT, MAX_HELD, MAX_UNSENT},
    server::Choose,
};

/// The most that one record carries.
const RECORD: usize = 16 << 10;

/// What TLS puts around a record, at most, and some room.
const AROUND: usize = 64;

/// The fatal alert `no_application_protocol` (RFC 7301 3.2), which answers a client's first words and so is in the clear.
const NO_PROTOCOL: &[u8] = &[21, 3, 3, 0, 2, 2, 120];

/// One TLS connection between a transport and what is spoken over it. See the [contract](crate).
pub struct Session {
    tls: Tls,
    /// Received, and not to be opened before more comes.
    held: Vec<u8>,
    outgoing: Outgoing,
    /// Where small pieces become one record.
    gathered: Vec<u8>,
    handshake: Option<Arc<Handshake>>,
    error: Option<Error>,
    peer_closed: bool,
    closed: bool,
}

enum Tls {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>, Arc<Choose>),
}

/// Sealed bytes on their way out.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Session {
    /// A client's session; its first words are there to be transmitted at once.
    ///
    /// `server_name` is a host name, which the server is told and its certificate must be for, or an IP address.
    ///
    /// # Errors
    ///
    /// [`ConfigError::BadServerName`] when it is neither.
    pub fn client(config: &ClientConfig, server_name: &str) -> Result<Session, ConfigError> {
        let bad = || ConfigError::BadServerName(server_name.to_owned());
        let name = server_name.strip_suffix('.').unwrap_or(server_name);
        let name = ServerName::try_from(name).map_err(|_| bad())?.to_owned();
        let connection = UnbufferedClientConnection::new(Arc::clone(&config.0), name)?;
        let mut session = Session::new(Tls::Client(Box::new(connection)));
        session.process(&mut [], &mut |_| {});
        Ok(session)
    }

    /// A server's session.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] when rustls does not want the configuration.
    pub fn server(config: &ServerConfig) -> Result<Session, ConfigError> {
        let (config, choose) = config.for_session();
        Ok(Session::new(Tls::Server(Box::new(UnbufferedServerConnection::new(config)?), choose)))
    }

    fn new(tls: Tls) -> Session {
        Session {
            tls,
            held: Vec::new(),
            outgoing: Outgoing::default(),
            gathered: Vec::new(),
            handshake: None,
            error: None,
            peer_closed: false,
            closed: false,
        }
    }

    // From outside.

    /// Takes what came from the transport, and gives what is in it to `opened`, in pieces of at most 16 KiB.
    ///
    /// `sealed` is opened in place: what it holds afterwards means nothing. Nothing is given before the handshake is
    /// over, nor after an [`error`](Session::error) or [`close`](Session::close).
    pub fn handle_sealed(&mut self, mut sealed: &mut [u8], mut opened: impl FnMut(&[u8])) {
        if self.closed {
            // What fails after its goodbye rustls does not expect to tell.
            return;
        }
        // What is held is mostly the beginning of a record: only its rest joins it, and what follows stays in place.
        while !self.held.is_empty() && !sealed.is_empty() && self.error.is_none() {
            let missing = self.missing().min(sealed.len());
            let (rest, after) = mem::take(&mut sealed).split_at_mut(missing);
            sealed = after;
            let mut held = mem::take(&mut self.held);
            held.extend_from_slice(rest);
            let used = self.process(&mut held, &mut opened);
            held.drain(..used);
            self.hold(held);
        }
        if sealed.is_empty() || self.error.is_some() {
            return;
        }
        let used = self.process(sealed, &mut opened);
        if used < sealed.len() && self.error.is_none() && !self.peer_closed {
            self.hold(sealed[used..].to_vec());
        }
    }

    /// Nothing more will come from the transport.
    pub fn handle_closed(&mut self) {
        if self.handshake.is_none() {
            self.fail(Error::ClosedInHandshake);
        }
    }

    /// That many bytes of [`poll_transmit`](Session::poll_transmit) have been written.
    pub fn handle_transmitted(&mut self, len: usize) {
        self.outgoing.sent = (self.outgoing.sent + len).min(self.outgoing.bytes.len());
        if self.outgoing.sent == self.outgoing.bytes.len() {
            self.outgoing.sent = 0;
            self.outgoing.bytes.clear();
            if self.outgoing.bytes.capacity() > KEPT {
                self.outgoing.bytes = Vec::new();
                self.gathered = Vec::new();
            }
        }
    }

    // Verbs.

    /// Seals what is in `pieces`, in order; how many bytes were taken. Less than all when [`MAX_UNSENT`] wait to be
    /// written already, none before the handshake is over and after the end.
    pub fn seal(&mut self, pieces: &[IoSlice<'_>]) -> usize {
        if self.handshake.is_none() || self.error.is_some() || self.closed {
            return 0;
        }
        let mut room = MAX_UNSENT.saturating_sub(self.outgoing.unsent());
        let mut taken = 0;
        for (index, piece) in pieces.iter().enumerate() {
            let mut piece = &piece[..piece.len().min(room)];
            room -= piece.len();
            taken += piece.len();
            let last = index + 1 == pieces.len() || room == 0;
            while !piece.is_empty() {
                let direct = self.gathered.is_empty() && (last || piece.len() >= RECORD);
                let len = if direct && !last { piece.len() - piece.len() % RECORD } else { piece.len() };
                let len = if direct { len } else { len.min(RECORD - self.gathered.len()) };
                let (now, later) = piece.split_at(len);
                piece = later;
                if direct {
                    self.seal_one(now);
                } else {
                    self.gathered.extend_from_slice(now);
                    if self.gathered.len() == RECORD {
                        self.seal_gathered();
                    }
                }
            }
            if last {
                break;
            }
        }
        self.seal_gathered();
        taken
    }

    /// Says goodbye: nothing more will be sent, and nothing that comes is wanted. A handshake is given up instead.
    pub fn close(&mut self) {
        if self.handshake.is_some() && self.error.is_none() && !self.closed {
            self.act(&Want::Close);
        }
        self.closed = true;
    }

    // To outside.

    /// What must be written, if anything; say then how much of it [was](Session::handle_transmitted).
    #[must_use]
    pub fn poll_transmit(&self) -> Option<&[u8]> {
        let rest = &self.outgoing.bytes[self.outgoing.sent..];
        (!rest.is_empty()).then_some(rest)
    }

    // Getters.

    /// What the handshake found out, once it is over and went well.
    #[must_use]
    pub fn handshake(&self) -> Option<&Arc<Handshake>> {
        self.handshake.as_ref()
    }

    /// Why the session is over, if it failed.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether the peer has said that it will send nothing more.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether [`seal`](Session::seal) would take anything.
    #[must_use]
    pub fn can_seal(&self) -> bool {
        self.handshake.is_some() && self.error.is_none() && !self.closed && self.outgoing.unsent() < MAX_UNSENT
    }

    // Inside.

    /// Opens what is in `incoming`; how much of it was used.
    fn process(&mut self, incoming: &mut [u8], opened: &mut dyn FnMut(&[u8])) -> usize {
        let mut used = 0;
        while self.error.is_none() {
            let sure = self.handshake.is_some();
            let (discard, next) =
                self.tls.advance(&mut incoming[used..], &Want::Open(sure), &mut self.outgoing, opened);
            used += discard;
            self.note_handshake();
            match next {
                Next::Again => {}
                Next::First(records) if self.error.is_none() => records.iter().for_each(|record| opened(record)),
                Next::First(_) => {}
                Next::PeerClosed => self.peer_closed = true,
                Next::Idle | Next::Done => break,
                Next::Failed(_) if self.tls.lacks_protocol() => {
                    self.outgoing.bytes.extend_from_slice(NO_PROTOCOL);
                    self.fail(Error::NoProtocol);
                }
                Next::Failed(error) => {
                    self.tell_why(&mut incoming[used..]);
                    self.fail(Error::from_rustls(&error, !sure));
                }
            }
        }
        used
    }

    /// Encrypts, or says goodbye, which needs what is held for its turn too.
    fn act(&mut self, want: &Want<'_>) {
        let mut held = mem::take(&mut self.held);
        let mut used = 0;
        // Everything that could be opened has been.
        let mut unread = false;
        while self.error.is_none() {
            let (discard, next) = self.tls.advance(&mut held[used..], want, &mut self.outgoing, &mut |_| unread = true);
            used += discard;
            match next {
                Next::Again | Next::First(_) => {}
                Next::PeerClosed => self.peer_closed = true,
                Next::Done => break,
                Next::Idle => self.fail(Error::Local("not ready to send".to_owned())),
                Next::Failed(error) => self.fail(Error::from_rustls(&error, false)),
            }
        }
        if unread {
            self.fail(Error::Local("something was left unread".to_owned()));
        }
        held.drain(..used);
        self.hold(held);
    }

    fn seal_one(&mut self, plain: &[u8]) {
        if !plain.is_empty() {
            self.act(&Want::Seal(plain));
        }
    }

    fn seal_gathered(&mut self) {
        let mut gathered = mem::take(&mut self.gathered);
        self.seal_one(&gathered);
        gathered.clear();
        self.gathered = gathered;
    }

    /// The alert that goes with a failure: one turn, which begins with what waits to be said. In a second one rustls
    /// would come upon the same failure again.
    fn tell_why(&mut self, incoming: &mut [u8]) {
        self.tls.advance(incoming, &Want::Open(true), &mut self.outgoing, &mut |_| {});
    }

    fn note_handshake(&mut self) {
        if self.handshake.is_some() || self.error.is_some() || self.tls.common().is_handshaking() {
            return;
        }
        if self.tls.common().alpn_protocol() == Some(PROTOCOL) {
            self.handshake = Some(Arc::new(self.tls.summary()));
        } else {
            self.fail(Error::NoProtocol);
        }
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.held = Vec::new();
        self.gathered = Vec::new();
    }

    fn hold(&mut self, held: Vec<u8>) {
        if held.len() > MAX_HELD {
            self.fail(Error::PeerMisbehaved("a handshake message is too long".to_owned()));
        } else {
            self.held = if held.is_empty() && held.capacity() > KEPT { Vec::new() } else { held };
        }
    }

    /// How many bytes complete what is held, as far as that can be told.
    fn missing(&self) -> usize {
        match self.held[..] {
            [_, _, _, high, low, ..] => {
                let whole = 5 + usize::from(u16::from_be_bytes([high, low]));
                // Pieces of a handshake message, whose end is somewhere.
                if whole > self.held.len() { whole - self.held.len() } else { usize::MAX }
            }
            _ => 5 - self.held.len(),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("handshake", &self.handshake)
            .field("error", &self.error)
            .field("held", &self.held.len())
            .field("unsent", &self.outgoing.unsent())
            .finish_non_exhaustive()
    }
}

/// What is wanted of rustls.
enum Want<'a> {
    /// Open what has come; whether the handshake is known to have gone well.
    Open(bool),
    /// Seal this, whole.
    Seal(&'a [u8]),
    /// Say goodbye.
    Close,
}

/// What came of one turn of rustls.
enum Next {
    /// There is more to do.
    Again,
    /// The first records; whether they count depends on how the handshake went.
    First(Vec<Vec<u8>>),
    /// The peer will send no more.
    PeerClosed,
    /// Nothing more before more comes.
    Idle,
    /// What was wanted is done.
    Done,
    Failed(rustls::Error),
}

impl Tls {
    fn common(&self) -> &CommonState {
        match self {
            Tls::Client(connection) => connection,
            Tls::Server(connection, _) => connection,
        }
    }

    /// One turn of rustls; how much of `incoming` is used up.
    fn advance(
        &mut self,
        incoming: &mut [u8],
        want: &Want<'_>,
        out: &mut Outgoing,
        opened: &mut dyn FnMut(&[u8]),
    ) -> (usize, Next) {
        match self {
            Tls::Client(connection) => turn(connection.process_tls_records(incoming), want, out, opened),
            Tls::Server(connection, _) => turn(connection.process_tls_records(incoming), want, out, opened),
        }
    }

    /// Server: whether it gave up because the client does not offer HTTP/2.
    fn lacks_protocol(&self) -> bool {
        matches!(self, Tls::Server(_, choose) if choose.lacks_protocol())
    }

    fn summary(&self) -> Handshake {
        let common = self.common();
        Handshake {
            version: match common.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            group: common.negotiated_key_exchange_group().map(|group| group_name(group.name())),
            resumed: common.handshake_kind() == Some(HandshakeKind::Resumed),
            server_name: match self {
                Tls::Client(_) => None,
                Tls::Server(_, choose) => choose.asked(),
            },
            peer: common.peer_certificates().and_then(|chain| chain.first()).map(Certificate::new).map(Arc::new),
        }
    }
}

fn turn<D>(
    status: UnbufferedStatus<'_, '_, D>,
    want: &Want<'_>,
    out: &mut Outgoing,
    opened: &mut dyn FnMut(&[u8]),
) -> (usize, Next) {
    let mut used = status.discard;
    let next = match status.state {
        Err(error) => Next::Failed(error),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => {
            let mut first = Vec::new();
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        used += record.discard;
                        if matches!(want, Want::Open(false)) {
                            first.push(record.payload.to_vec());
                        } else {
                            opened(record.payload);
                        }
                    }
                    Err(error) => return (used, Next::Failed(error)),
                }
            }
            if first.is_empty() { Next::Again } else { Next::First(first) }
        }
        Ok(ConnectionState::EncodeTlsData(data)) => out.encode(data),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Next::Again
        }
        Ok(ConnectionState::PeerClosed) => Next::PeerClosed,
        Ok(ConnectionState::WriteTraffic(traffic)) => out.act(traffic, want),
        // Blocked, closed both ways, or early data, which is never agreed to.
        Ok(_) => Next::Idle,
    };
    (used, next)
}

impl Outgoing {
    fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Room for `len` bytes more; where they begin.
    fn grow(&mut self, len: usize) -> usize {
        if self.sent > 0 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        let at = self.bytes.len();
        self.bytes.resize(at + len, 0);
        at
    }

    fn encode<D>(&mut self, mut data: EncodeTlsData<'_, D>) -> Next {
        let mut room = 0;
        loop {
            let at = self.grow(room);
            let result = data.encode(&mut self.bytes[at..]);
            self.bytes.truncate(at + result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(_) => return Next::Again,
                Err(EncodeError::InsufficientSize(size)) if size.required_size > room => room = size.required_size,
                Err(error) => return Next::Failed(rustls::Error::General(error.to_string())),
            }
        }
    }

    fn act<D>(&mut self, mut traffic: WriteTraffic<'_, D>, want: &Want<'_>) -> Next {
        let mut room = match want {
            Want::Open(_) => return Next::Idle,
            Want::Seal(plain) => plain.len() + (plain.len() / RECORD + 1) * AROUND,
            Want::Close => AROUND,
        };
        loop {
            let at = self.grow(room);
            let result = match want {
                Want::Open(_) => Ok(0),
                Want::Seal(plain) => traffic.encrypt(plain, &mut self.bytes[at..]),
                Want::Close => traffic.queue_close_notify(&mut self.bytes[at..]),
            };
            self.bytes.truncate(at + result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(_) => return Next::Done,
                Err(EncryptError::InsufficientSize(size)) if size.required_size > room => room = size.required_size,
                Err(_) => return Next::Failed(rustls::Error::EncryptError),
            }
        }
    }
}

/// A group by OpenSSL's name.
fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::secp256r1 => "P-256".to_owned(),
        NamedGroup::secp384r1 => "P-384".to_owned(),
        NamedGroup::secp521r1 => "P-521".to_owned(),
        other => format!("{other:?}"),
    }
}
