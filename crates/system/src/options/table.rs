//! What each option does. Every key that grpcio knows has a row, also those that mean nothing without its C core.

use std::{sync::Arc, time::Duration};

use farcall_channel::{ServiceConfig, balancer::Registry, resolver::Client};
use farcall_engine::{Budget, Encoding, Encodings, Limits};

use super::{Draft, Side, Value, nearest::nearest};
use crate::names::host_name;

/// One option.
struct Row {
    key: &'static str,
    of: Of,
    effect: Effect,
}

/// Who has the option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Channel,
    Server,
    Both,
}

/// What the option's value does; its type with it.
enum Effect {
    /// An int, of which anything is taken.
    Int(fn(&mut Draft, i32)),
    /// An int that may be larger than grpcio's, of which anything is taken.
    Size(fn(&mut Draft, i64)),
    /// A text.
    Text(fn(&mut Draft, &str)),
    /// An object that the Python side has taken already.
    Object,
    /// An int that changes nothing here; those values that ask for what is so anyway; and why the others have no effect.
    NoInt(&'static [i32], &'static str),
    /// A text that changes nothing here, and why.
    NoText(&'static str),
    /// An object that changes nothing here, and why.
    NoObject(&'static str),
}

use Effect::{Int, NoInt, NoObject, NoText, Object, Size, Text};

const OF_THE_CORE: &str = "it tunes grpcio's C core";
const GONE: &str = "grpcio has removed it too";
const NO_XDS: &str = "there is no xDS";
const NO_POLICY: &str = "there is no such load balancing policy";
const PINGS: &str = "pings wait for grpc.keepalive_timeout_ms, one at a time";
const NO_QUEUE: &str = "requests go to the pool at once; maximum_concurrent_rpcs bounds them";

const fn both(key: &'static str, effect: Effect) -> Row {
    Row { key, of: Of::Both, effect }
}

const fn channel(key: &'static str, effect: Effect) -> Row {
    Row { key, of: Of::Channel, effect }
}

const fn server(key: &'static str, effect: Effect) -> Row {
    Row { key, of: Of::Server, effect }
}

/// No back-off may be shorter.
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// A channel may not go idle sooner.
const MIN_IDLE: Duration = Duration::from_secs(1);

/// As good as never, and still far enough from the end of the clock to be added to it.
const AGES: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

const TABLE: &[Row] = &[
    // Messages and metadata. A negative length means no limit.
    both("grpc.max_receive_message_length", Int(|d, n| limits(d).max_receive_message_length = length(n))),
    both("grpc.max_send_message_length", Int(|d, n| limits(d).max_send_message_length = length(n))),
    both("grpc.max_metadata_size", Int(|d, n| d.soft_metadata = Some(unsigned(n)))),
    both("grpc.absolute_max_metadata_size", Int(|d, n| d.hard_metadata = Some(unsigned(n)))),
    // Compression.
    both("grpc.default_compression_algorithm", Int(algorithm)),
    both("grpc.default_compression_level", Int(level)),
    both("grpc.per_message_compression", Int(|d, n| d.compress = n != 0)),
    both("grpc.per_message_decompression", NoInt(&[1], "messages are always decompressed")),
    both("grpc.compression_enabled_algorithms_bitset", Int(algorithms)),
    // Is the other end still there?
    both("grpc.keepalive_time_ms", Int(|d, n| d.engine.keepalive_time = milliseconds(n))),
    both("grpc.keepalive_timeout_ms", Int(keepalive_timeout)),
    both("grpc.keepalive_permit_without_calls", Int(|d, n| d.engine.keepalive_without_calls = n != 0)),
    both("grpc.http2.max_pings_without_data", Int(|d, n| d.engine.max_pings_without_data = unsigned(n))),
    server("grpc.http2.min_ping_interval_without_data_ms", Int(min_ping_interval)),
    server("grpc.http2.max_ping_strikes", Int(|d, n| limits(d).ping_strikes = unsigned(n))),
    both("grpc.http2.settings_timeout", Int(settings_timeout)),
    server("grpc.server_handshake_timeout_ms", Int(settings_timeout)),
    both("grpc.http2.min_time_between_pings_ms", NoInt(&[], PINGS)),
    both("grpc.http2.ping_timeout_ms", NoInt(&[], PINGS)),
    both("grpc.http2.max_inflight_pings", NoInt(&[1], PINGS)),
    both("grpc.http2.ack_pings", NoInt(&[1], "pings are always answered")),
    // How long connections live.
    server("grpc.max_connection_idle_ms", Int(|d, n| d.engine.max_connection_idle = milliseconds(n))),
    server("grpc.max_connection_age_ms", Int(|d, n| d.engine.max_connection_age = milliseconds(n))),
    server("grpc.max_connection_age_grace_ms", Int(|d, n| d.engine.max_connection_age_grace = milliseconds(n))),
    channel(
        "grpc.client_idle_timeout_ms",
        Int(|d, n| d.channel.idle_timeout = milliseconds(n).map(|idle| idle.max(MIN_IDLE))),
    ),
    // Who may come, and how many.
    server("grpc.max_concurrent_streams", Int(|d, n| limits(d).max_concurrent_streams = u32::try_from(n).ok())),
    server("grpc.max_allowed_incoming_connections", Int(|d, n| d.max_connections = length(n))),
    server("grpc.so_reuseport", Int(|d, n| d.reuse_port = n != 0)),
    // Requests go to the pool at once, so none wait to be asked for.
    server("grpc.server.max_pending_requests", NoInt(&[], NO_QUEUE)),
    server("grpc.server.max_pending_requests_hard_limit", NoInt(&[], NO_QUEUE)),
    server("grpc.server_max_unrequested_time_in_server", NoInt(&[], NO_QUEUE)),
    server("grpc.expand_wildcard_addrs", NoInt(&[0], "a wildcard is one socket")),
    // Who the client says it is, and whom it wants.
    channel("grpc.primary_user_agent", Text(|d, text| d.primary_user_agent += &format!("{text} "))),
    channel("grpc.secondary_user_agent", Text(|d, text| d.secondary_user_agent += &format!(" {text}"))),
    channel("grpc.default_authority", Text(|d, text| d.authority = Some(text.to_owned()))),
    channel("grpc.ssl_target_name_override", Text(|d, text| d.target_name = Some(text.to_owned()))),
    channel("grpc.http2_scheme", Text(scheme)),
    channel("grpc.ssl_session_cache", Object),
    channel("grpc.surface_user_agent", NoInt(&[1], GONE)),
    // Connecting.
    channel("grpc.initial_reconnect_backoff_ms", Int(|d, n| d.channel.backoff.initial = backoff(n))),
    channel("grpc.max_reconnect_backoff_ms", Int(|d, n| d.channel.backoff.max = backoff(n))),
    channel("grpc.min_reconnect_backoff_ms", Int(|d, n| d.channel.connect_timeout = backoff(n))),
    channel("grpc.testing.fixed_reconnect_backoff_ms", Int(fixed_backoff)),
    // No channel shares its connection with another.
    channel("grpc.use_local_subchannel_pool", NoInt(&[1], "each channel has its own connections")),
    channel("grpc.happy_eyeballs_connection_attempt_delay_ms", Int(|d, n| d.channel.attempt_delay = attempt_delay(n))),
    channel("grpc.enable_http_proxy", Int(|d, n| d.environment_proxy = n != 0)),
    channel("grpc.http_proxy", Text(|d, text| d.proxy = Some(text.to_owned()))),
    channel("grpc.address_http_proxy", NoText("use grpc.http_proxy")),
    channel("grpc.address_http_proxy_enabled_addresses", NoText("use grpc.http_proxy")),
    // Names.
    channel(
        "grpc.dns_min_time_between_resolutions_ms",
        Int(|d, n| d.channel.min_resolution_interval = milliseconds(n).unwrap_or(AGES)),
    ),
    channel(
        "farcall.dns_refresh_ms",
        Int(|d, n| d.channel.refresh_interval = (n > 0).then(|| milliseconds(n)).flatten()),
    ),
    channel("farcall.dns_service", Text(|d, text| d.channel.dns.service = Some(text.to_owned()))),
    channel("grpc.dns_ares_query_timeout", NoInt(&[], "the system's resolver has its own")),
    channel("grpc.dns_enable_srv_queries", NoInt(&[0], "they are for grpclb; use farcall.dns_service")),
    channel("grpc.service_config_disable_resolution", Int(service_config_of_dns)),
    // Calls.
    channel("grpc.service_config", Text(service_config)),
    channel("grpc.enable_retries", Int(|d, n| d.channel.retry.enabled = n != 0)),
    channel("grpc.per_rpc_retry_buffer_size", Int(|d, n| d.channel.retry.buffer = unsigned(n) as usize)),
    channel("grpc.experimental.enable_hedging", Int(hedging)),
    channel("grpc.lb_policy_name", Text(lb_policy)),
    channel("grpc.inhibit_health_checking", Int(|d, n| d.channel.health_checks = n == 0)),
    // Flow, frames, sockets.
    both("grpc.http2.lookahead_bytes", Int(lookahead)),
    both("grpc.http2.bdp_probe", Int(|d, n| d.engine.bdp_probe = n != 0)),
    both("grpc.http2.max_frame_size", Int(|d, n| limits(d).max_frame_size = unsigned(n).clamp(16_384, 16_777_215))),
    both("grpc.http2.write_buffer_size", Int(|d, n| limits(d).send_buffer = unsigned(n).max(1) as usize)),
    both("grpc.http2.hpack_table_size.decoder", Int(|d, n| limits(d).header_table_size = unsigned(n))),
    both("grpc.http2.hpack_table_size.encoder", NoInt(&[], "the table is as large as the peer allows, to 4,096 bytes")),
    both("grpc.http2.initial_sequence_number", NoInt(&[], OF_THE_CORE)),
    both("grpc.http2.true_binary", NoInt(&[0], "binary metadata travel in base64")),
    both("grpc.tcp_receive_buffer_size", Int(|d, n| d.socket.receive_buffer = length(n))),
    both("grpc.dscp", Int(|d, n| d.socket.dscp = u32::try_from(n).ok().filter(|dscp| *dscp < 64))),
    both("grpc.experimental.tcp_read_chunk_size", NoInt(&[], OF_THE_CORE)),
    both("grpc.experimental.tcp_min_read_chunk_size", NoInt(&[], OF_THE_CORE)),
    both("grpc.experimental.tcp_max_read_chunk_size", NoInt(&[], OF_THE_CORE)),
    both("grpc.experimental.tcp_tx_zerocopy_enabled", NoInt(&[], OF_THE_CORE)),
    both("grpc.experimental.tcp_tx_zerocopy_send_bytes_threshold", NoInt(&[], OF_THE_CORE)),
    both("grpc.experimental.tcp_tx_zerocopy_max_simultaneous_sends", NoInt(&[], OF_THE_CORE)),
    // Bounds that only we have: fields of the engine's limits, of the same name.
    both("farcall.connection_window", Int(|d, n| limits(d).connection_window = unsigned(n))),
    both("farcall.header_block", Int(|d, n| limits(d).header_block = bytes(n))),
    both("farcall.incomplete", Int(|d, n| limits(d).incomplete = bytes(n))),
    both("farcall.initial_stream_window", Int(|d, n| limits(d).initial_stream_window = unsigned(n))),
    both("farcall.memory_budget", Size(memory_budget)),
    both("farcall.overdraft", Int(|d, n| limits(d).overdraft = bytes(n))),
    server("farcall.request_headers", Int(|d, n| limits(d).request_headers = bytes(n))),
    server("farcall.resets", Int(|d, n| limits(d).resets = unsigned(n))),
    server("farcall.resets_per_second", Int(|d, n| limits(d).resets_per_second = unsigned(n))),
    both("farcall.stream_window", Int(stream_window)),
    both("farcall.unread", Int(|d, n| limits(d).unread = bytes(n))),
    both("farcall.unsent", Int(|d, n| limits(d).unsent = bytes(n))),
    // Channelz, and what only the C core has.
    both("grpc.enable_channelz", Int(|d, n| d.channelz = n != 0)),
    both("grpc.max_channel_trace_event_memory_per_node", NoInt(&[0], "channelz has no trace events")),
    both("grpc.minimal_stack", NoInt(&[0], OF_THE_CORE)),
    both("grpc.census", NoInt(&[0], "there is no census")),
    both("grpc.resource_quota", NoObject(OF_THE_CORE)),
    both("grpc.socket_mutator", NoObject(OF_THE_CORE)),
    server("grpc.authorization_policy_provider", NoObject("there is no authorization engine")),
    channel("grpc.disable_client_authority_filter", NoInt(&[0], OF_THE_CORE)),
    channel("grpc.priority_failover_timeout_ms", Int(|d, n| d.channel.priority_failover = non_negative(n))),
    channel("grpc.lb.ring_hash.ring_size_cap", Int(|d, n| d.channel.ring_places = unsigned(n))),
    channel("grpc.grpclb_call_timeout_ms", NoInt(&[], NO_POLICY)),
    channel("grpc.grpclb_fallback_timeout_ms", NoInt(&[], NO_POLICY)),
    channel("grpc.xds_resource_does_not_exist_timeout_ms", NoInt(&[], NO_XDS)),
    // Gone from grpcio since 1.51, and still passed.
    both("grpc.enable_deadline_checking", NoInt(&[1], "deadlines are always checked")),
    both("grpc.optimization_target", NoText(GONE)),
    both("grpc.loadreporting", NoInt(&[0], GONE)),
    both("grpc.max_message_length", NoInt(&[], "use grpc.max_receive_message_length")),
    channel("grpc.use_cronet_packet_coalescing", NoInt(&[0], GONE)),
    both("grpc.workaround.cronet_compression", NoInt(&[0], GONE)),
];

/// Applies one option to what there is so far.
pub(super) fn apply(side: Side, draft: &mut Draft, key: &str, value: Value) {
    let Some(row) = TABLE.iter().find(|row| row.key == key) else {
        draft.complaints.push(unknown(key));
        return;
    };
    let mine = match row.of {
        Of::Both => true,
        Of::Channel => side == Side::Channel,
        Of::Server => side == Side::Server,
    };
    match (&row.effect, value) {
        // One list of options for both sides is common; the other's mean nothing and do no harm.
        (Int(_) | NoInt(..), Value::Int(_)) | (Size(_), Value::Size(_)) | (Text(_) | NoText(_), Value::Text(_))
            if !mine => {}
        (Object | NoObject(_), Value::Object(_)) if !mine => {}
        (Int(set), Value::Int(number)) => set(draft, number),
        (Size(set), Value::Size(number)) => set(draft, number),
        (Text(set), Value::Text(text)) => set(draft, &text),
        (Object, Value::Object(_)) => {}
        (NoInt(so_anyway, _), Value::Int(number)) if so_anyway.contains(&number) => {}
        (NoInt(_, why), Value::Int(_)) | (NoText(why), Value::Text(_)) | (NoObject(why), Value::Object(_)) => {
            draft.complaints.push(format!("option {key:?} has no effect: {why}"));
        }
        (effect, value) => {
            let wanted = effect.type_name();
            let got = match value {
                Value::Int(number) => format!("the int {number}"),
                Value::Size(number) => format!("the int {number}"),
                Value::Text(text) => format!("the str {text:?}"),
                Value::Object(class) => format!("an object of type {class}"),
            };
            draft.complaints.push(format!("option {key:?} takes {wanted}, not {got}; its default holds"));
        }
    }
}

/// Whether an option is a size that may be larger than an int of C.
pub(super) fn is_size(key: &str) -> bool {
    TABLE.iter().any(|row| row.key == key && matches!(row.effect, Size(_)))
}

/// Every row: key, type, side, and why it changes nothing, which is empty when it does change something.
pub(super) fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    TABLE.iter().map(|row| {
        let side = match row.of {
            Of::Both => "both",
            Of::Channel => "channel",
            Of::Server => "server",
        };
        let kind = match row.effect {
            Int(_) | Size(_) | NoInt(..) => "int",
            Text(_) | NoText(_) => "str",
            Object | NoObject(_) => "object",
        };
        let without_effect = match row.effect {
            Int(_) | Size(_) | Text(_) | Object => "",
            NoInt(_, why) | NoText(why) | NoObject(why) => why,
        };
        (row.key, kind, side, without_effect)
    })
}

impl Effect {
    fn type_name(&self) -> &'static str {
        match self {
            Int(_) | Size(_) | NoInt(..) => "an int",
            Text(_) | NoText(_) => "a str",
            Object | NoObject(_) => "an object",
        }
    }
}

fn unknown(key: &str) -> String {
    match nearest(key, TABLE.iter().map(|row| row.key)) {
        Some(near) => format!("unknown option {key:?} is ignored; did you mean {near:?}?"),
        None => format!("unknown option {key:?} is ignored"),
    }
}

fn limits(draft: &mut Draft) -> &mut Limits {
    &mut draft.engine.limits
}

/// A negative number means no limit.
fn length(number: i32) -> Option<usize> {
    usize::try_from(number).ok()
}

fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The largest int means never.
fn milliseconds(number: i32) -> Option<Duration> {
    (number != i32::MAX).then(|| Duration::from_millis(u64::from(unsigned(number).max(1))))
}

fn backoff(number: i32) -> Duration {
    Duration::from_millis(u64::from(unsigned(number))).max(MIN_BACKOFF)
}

fn fixed_backoff(draft: &mut Draft, number: i32) {
    draft.channel.backoff.initial = backoff(number);
    draft.channel.backoff.max = backoff(number);
}

fn algorithm(draft: &mut Draft, number: i32) {
    match number {
        0 => draft.encoding = Encoding::Identity,
        1 => draft.encoding = Encoding::Deflate,
        2 => draft.encoding = Encoding::Gzip,
        _ => draft.complaints.push(format!(
            "option \"grpc.default_compression_algorithm\" takes 0 (none), 1 (deflate) or 2 (gzip), not {number}; \
             messages are not compressed"
        )),
    }
}

/// Which algorithm a level stands for, as grpcio chooses: the quickest first.
fn level(draft: &mut Draft, number: i32) {
    match number {
        0 => draft.encoding = Encoding::Identity,
        1 => draft.encoding = Encoding::Gzip,
        2 | 3 => draft.encoding = Encoding::Deflate,
        _ => draft.complaints.push(format!(
            "option \"grpc.default_compression_level\" takes 0 to 3, not {number}; messages are not compressed"
        )),
    }
}

fn algorithms(draft: &mut Draft, bits: i32) {
    let mut accepted = Encodings::IDENTITY;
    for (number, encoding) in [(1, Encoding::Deflate), (2, Encoding::Gzip)] {
        if bits & (1 << number) != 0 {
            accepted = accepted.with(encoding);
        }
    }
    draft.engine.accepted_encodings = accepted;
}

fn keepalive_timeout(draft: &mut Draft, number: i32) {
    draft.engine.keepalive_timeout = milliseconds(number).unwrap_or(AGES);
    draft.keepalive_timeout_endless = number == i32::MAX;
}

fn min_ping_interval(draft: &mut Draft, number: i32) {
    let interval = Duration::from_millis(u64::from(unsigned(number)));
    let limits = limits(draft);
    limits.min_ping_interval = interval;
    limits.min_ping_interval_without_calls = limits.min_ping_interval_without_calls.max(interval);
}

fn settings_timeout(draft: &mut Draft, number: i32) {
    limits(draft).settings_timeout = milliseconds(number).unwrap_or(AGES);
}

fn lookahead(draft: &mut Draft, number: i32) {
    let limits = limits(draft);
    limits.stream_window = unsigned(number).max(5);
    limits.initial_stream_window = limits.stream_window;
    limits.max_stream_window = limits.max_stream_window.max(limits.stream_window);
}

fn stream_window(draft: &mut Draft, number: i32) {
    let limits = limits(draft);
    limits.stream_window = unsigned(number);
    limits.max_stream_window = limits.max_stream_window.max(limits.stream_window);
}

/// A negative number means no limit.
fn memory_budget(draft: &mut Draft, number: i64) {
    draft.engine.budget = Some(Arc::new(Budget::new(usize::try_from(number).unwrap_or(usize::MAX))));
}

/// Between attempts at addresses: grpcio keeps it from 100 ms to 2 s.
fn attempt_delay(number: i32) -> Duration {
    non_negative(number.clamp(100, 2000))
}

fn non_negative(number: i32) -> Duration {
    Duration::from_millis(unsigned(number).into())
}

/// A bound in bytes.
fn bytes(number: i32) -> usize {
    unsigned(number) as usize
}

fn scheme(draft: &mut Draft, text: &str) {
    match text {
        "http" => draft.engine.scheme = "http",
        "https" => draft.engine.scheme = "https",
        _ => draft.complaints.push(format!("option \"grpc.http2_scheme\" takes \"http\" or \"https\", not {text:?}")),
    }
}

fn hedging(draft: &mut Draft, number: i32) {
    draft.channel.retry.hedging = number != 0;
}

fn lb_policy(draft: &mut Draft, text: &str) {
    match Registry::default().policy(text) {
        Ok(policy) => draft.channel.policy = Some(policy),
        Err(_) => {
            let complaint = format!("option \"grpc.lb_policy_name\": {text:?} is not available: pick_first is used");
            draft.complaints.push(complaint);
        }
    }
}

fn service_config_of_dns(draft: &mut Draft, disabled: i32) {
    // What grpcio is called there, and what its programs are written in.
    let languages = ["c++", "python"].map(str::to_owned).to_vec();
    draft.channel.dns.service_config = (disabled == 0).then(|| Client { languages, host_name: host_name() });
}

fn service_config(draft: &mut Draft, text: &str) {
    match ServiceConfig::parse(text) {
        Ok(config) => {
            let note = |note| format!("option \"grpc.service_config\": {note}");
            draft.complaints.extend(config.without_effect.iter().cloned().map(note));
            draft.channel.service_config = Arc::new(config);
        }
        Err(error) => {
            draft.complaints.push(format!("option \"grpc.service_config\": {error}; calls will fail"));
            draft.service_config_error = Some(error.to_string());
        }
    }
}
