//! Channel and server options: grpcio's `(key, value)` pairs into what the brains are configured with.
//!
//! What each key means is in `table`. One that is not known, or whose value cannot be what it asks for, is left at its
//! default, as in grpcio, and a complaint says so.

mod nearest;
mod table;

use std::time::Duration;

use farcall_channel::Config as ChannelConfig;
use farcall_engine::{Config as EngineConfig, Encoding, Role};

use crate::{credentials::ClientSecurity, process};

/// Ourselves; the faces say before it which grpcio's place they take, as servers' logs know it.
const USER_AGENT: &str = concat!("farcall/", env!("CARGO_PKG_VERSION"));

/// What a channel is made with.
#[derive(Clone)]
pub struct ChannelOptions {
    /// The brain's of the channel.
    pub channel: ChannelConfig,
    /// The brain's of each connection.
    pub engine: EngineConfig,
    /// `:authority`, if not the target's.
    pub authority: Option<String>,
    /// What the server's certificate must be for, if not the authority.
    pub target_name: Option<String>,
    /// How connections are secured; not an option of Python's, but it goes wherever they go.
    pub security: Option<ClientSecurity>,
    /// How calls' messages are compressed unless they say otherwise.
    pub encoding: Encoding,
    /// Of each TCP socket.
    pub socket: SocketOptions,
    /// The proxy to go through, as a URI, before those of the environment.
    pub proxy: Option<String>,
    /// Whether proxies of the environment count.
    pub environment_proxy: bool,
    /// Why the service config cannot be used; then no call can be made.
    pub service_config_error: Option<String>,
    /// Whether channelz tells of it.
    pub channelz: bool,
}

/// What a server is made with.
#[derive(Clone)]
pub struct ServerOptions {
    /// The brain's of each connection.
    pub engine: EngineConfig,
    /// Whether others may listen at the same port (SO_REUSEPORT).
    pub reuse_port: bool,
    /// Whether channelz tells of it.
    pub channelz: bool,
    /// How responses are compressed unless the handler says otherwise.
    pub encoding: Encoding,
    /// Of each TCP socket.
    pub socket: SocketOptions,
    /// Connections at once; those past it are closed when they come.
    pub max_connections: Option<usize>,
}

/// What the operating system is told of a TCP socket.
#[derive(Clone, Default)]
pub struct SocketOptions {
    /// How long sent bytes may stay unacknowledged before the connection is lost (TCP_USER_TIMEOUT).
    pub user_timeout: Option<Duration>,
    /// SO_RCVBUF, bytes.
    pub receive_buffer: Option<usize>,
    /// Differentiated services code point, 0 to 63.
    pub dscp: Option<u32>,
}

impl SocketOptions {
    /// Sets what can be set: none of it is needed for a connection to work.
    pub fn apply(&self, socket: &socket2::Socket) {
        if let Some(bytes) = self.receive_buffer {
            let _ = socket.set_recv_buffer_size(bytes);
        }
        if let Some(dscp) = self.dscp {
            // It is the upper six bits of the old "type of service".
            let _ = socket.set_tos_v4(dscp << 2);
            #[cfg(target_os = "linux")]
            let _ = socket.set_tclass_v6(dscp << 2);
        }
        #[cfg(target_os = "linux")]
        if let Some(timeout) = self.user_timeout {
            let _ = socket.set_tcp_user_timeout(Some(timeout));
        }
    }
}

/// One option's value.
pub enum Value {
    /// An integer.
    Int(i32),
    /// One that may be larger than an int of C.
    Size(i64),
    /// A text.
    Text(String),
    /// Something only a C core could use; what it is, for people.
    Object(String),
}

/// Whose options they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Channel,
    Server,
}

/// What options add up to, before it is a channel's or a server's.
struct Draft {
    engine: EngineConfig,
    channel: ChannelConfig,
    primary_user_agent: String,
    secondary_user_agent: String,
    authority: Option<String>,
    target_name: Option<String>,
    encoding: Encoding,
    compress: bool,
    soft_metadata: Option<u32>,
    hard_metadata: Option<u32>,
    socket: SocketOptions,
    proxy: Option<String>,
    environment_proxy: bool,
    reuse_port: bool,
    channelz: bool,
    max_connections: Option<usize>,
    keepalive_timeout_endless: bool,
    service_config_error: Option<String>,
    /// What could not be taken as it was meant, for people.
    complaints: Vec<String>,
}

impl Draft {
    fn new(side: Side) -> Draft {
        Draft {
            engine: match side {
                Side::Channel => EngineConfig::client(),
                // Handlers are found, and interceptors told, by the path as it stands, with or without a slash.
                Side::Server => EngineConfig { any_path: true, ..EngineConfig::server() },
            },
            channel: ChannelConfig::new(process::random()),
            primary_user_agent: String::new(),
            secondary_user_agent: String::new(),
            authority: None,
            target_name: None,
            encoding: Encoding::Identity,
            compress: true,
            soft_metadata: None,
            hard_metadata: None,
            socket: SocketOptions::default(),
            proxy: None,
            environment_proxy: true,
            reuse_port: true,
            channelz: true,
            max_connections: None,
            keepalive_timeout_endless: false,
            service_config_error: None,
            complaints: Vec::new(),
        }
    }

    /// Reads all options.
    fn read(side: Side, options: impl IntoIterator<Item = (String, Value)>) -> Draft {
        let mut draft = Draft::new(side);
        for (key, value) in options {
            table::apply(side, &mut draft, &key, value);
        }
        draft.settle();
        draft
    }

    /// What follows from several options together.
    fn settle(&mut self) {
        let backoff = &mut self.channel.backoff;
        backoff.max = backoff.max.max(backoff.initial);
        if !self.compress || !self.engine.accepted_encodings.contains(self.encoding) {
            self.encoding = Encoding::Identity;
        }
        // The hard limit is 1.25 times the soft one unless given; the soft one is at least 8 KiB.
        if let Some(hard) = self.hard_metadata {
            self.engine.limits.max_header_list_size = hard;
        } else if let Some(soft) = self.soft_metadata {
            let default = self.engine.limits.max_header_list_size;
            self.engine.limits.max_header_list_size = default.max(soft.saturating_add(soft / 4));
        }
        let wanted = self.engine.role == Role::Server || self.engine.keepalive_time.is_some();
        if wanted && !self.keepalive_timeout_endless {
            // What keepalive cannot see is a peer that acknowledges nothing of what is sent.
            self.socket.user_timeout = Some(self.engine.keepalive_timeout);
        }
    }
}

impl ChannelOptions {
    /// The same for a channel whose connections are secured.
    pub fn secured(mut self, security: ClientSecurity) -> ChannelOptions {
        if self.engine.scheme == "http" {
            self.engine.scheme = security.scheme();
        }
        self.security = Some(security);
        self
    }

    /// What the server is known as to TLS: a host or an address, without a port.
    pub fn server_name(&self, authority: &str) -> String {
        let name = self.target_name.as_deref().unwrap_or(authority);
        let host = match name.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None if name.matches(':').count() > 1 => name,
            None => name.split(':').next().unwrap_or(name),
        };
        // A zone, as in `fe80::1%eth0`, is this machine's own affair.
        if host.contains(':') { host.split('%').next().unwrap_or(host).to_owned() } else { host.to_owned() }
    }

    /// A channel's options, and what could not be taken as it was meant, in words for people.
    pub fn read(options: impl IntoIterator<Item = (String, Value)>) -> (ChannelOptions, Vec<String>) {
        let mut draft = Draft::read(Side::Channel, options);
        draft.engine.user_agent = format!(
            "{}{USER_AGENT} ({}){}",
            draft.primary_user_agent,
            std::env::consts::OS,
            draft.secondary_user_agent
        );
        let options = ChannelOptions {
            channel: draft.channel,
            engine: draft.engine,
            authority: draft.authority.or_else(|| draft.target_name.clone()),
            target_name: draft.target_name,
            security: None,
            encoding: draft.encoding,
            socket: draft.socket,
            proxy: draft.proxy,
            environment_proxy: draft.environment_proxy,
            service_config_error: draft.service_config_error,
            channelz: draft.channelz,
        };
        (options, draft.complaints)
    }
}

impl ServerOptions {
    /// A server's options, and what could not be taken as it was meant, in words for people.
    pub fn read(options: impl IntoIterator<Item = (String, Value)>) -> (ServerOptions, Vec<String>) {
        let draft = Draft::read(Side::Server, options);
        let options = ServerOptions {
            engine: draft.engine,
            reuse_port: draft.reuse_port,
            channelz: draft.channelz,
            encoding: draft.encoding,
            socket: draft.socket,
            max_connections: draft.max_connections,
        };
        (options, draft.complaints)
    }
}

/// The options there are: key, type, "channel", "server" or "both", and why it changes nothing here ("": it does).
pub fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    table::rows()
}

/// Whether an option is a size that may be larger than an int of C.
pub fn is_size(key: &str) -> bool {
    table::is_size(key)
}
