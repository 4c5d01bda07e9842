//! Channel and server options: `(key, value)` pairs of Python into what the brains are configured with.
//!
//! An option that is not known, or whose value has the wrong type, is left at its default, as in grpcio.

use std::time::Duration;

use farcall_channel::Config as ChannelConfig;
use farcall_engine::{Config as EngineConfig, Limits};
use pyo3::{
    exceptions::{PyOverflowError, PyTypeError},
    prelude::*,
    types::{PyBytes, PyInt, PyString},
};

use crate::process;

/// The grpcio whose place this takes, as servers' logs know it.
const USER_AGENT: &str = concat!("grpc-python/1.85.1 farcall/", env!("CARGO_PKG_VERSION"));

/// No back-off may be shorter.
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// What a channel is made with.
pub(crate) struct ChannelOptions {
    pub(crate) channel: ChannelConfig,
    pub(crate) engine: EngineConfig,
    /// `:authority`, if not the target's.
    pub(crate) authority: Option<String>,
}

/// What a server is made with.
pub(crate) struct ServerOptions {
    pub(crate) engine: EngineConfig,
    pub(crate) reuse_port: bool,
}

/// One option's value.
enum Value {
    Int(i32),
    Text(String),
    /// Something only a C core could use.
    Pointer,
}

impl ChannelOptions {
    pub(crate) fn read(options: &Bound<'_, PyAny>) -> PyResult<ChannelOptions> {
        let mut channel = ChannelConfig::new(process::random());
        let mut engine = EngineConfig::client();
        let (mut primary, mut secondary) = (String::new(), String::new());
        let (mut authority, mut target_name) = (None, None);
        for (key, value) in pairs(options)? {
            match (key.as_str(), value) {
                ("grpc.primary_user_agent", Value::Text(text)) => primary = format!("{primary}{text} "),
                ("grpc.secondary_user_agent", Value::Text(text)) => secondary = format!("{secondary} {text}"),
                ("grpc.default_authority", Value::Text(text)) => authority = Some(text),
                ("grpc.ssl_target_name_override", Value::Text(text)) => target_name = Some(text),
                ("grpc.http2_scheme", Value::Text(text)) if text == "https" => engine.scheme = "https",
                ("grpc.initial_reconnect_backoff_ms", Value::Int(ms)) => channel.backoff.initial = backoff(ms),
                ("grpc.max_reconnect_backoff_ms", Value::Int(ms)) => channel.backoff.max = backoff(ms),
                ("grpc.min_reconnect_backoff_ms", Value::Int(ms)) => channel.connect_timeout = backoff(ms),
                ("grpc.testing.fixed_reconnect_backoff_ms", Value::Int(ms)) => {
                    channel.backoff.initial = backoff(ms);
                    channel.backoff.max = backoff(ms);
                }
                (key, value) => read_limit(&mut engine.limits, key, &value),
            }
        }
        channel.backoff.max = channel.backoff.max.max(channel.backoff.initial);
        engine.user_agent = format!("{primary}{USER_AGENT} ({}){secondary}", std::env::consts::OS);
        Ok(ChannelOptions { channel, engine, authority: authority.or(target_name) })
    }
}

impl ServerOptions {
    pub(crate) fn read(options: &Bound<'_, PyAny>) -> PyResult<ServerOptions> {
        let mut read = ServerOptions { engine: EngineConfig::server(), reuse_port: true };
        for (key, value) in pairs(options)? {
            match (key.as_str(), value) {
                ("grpc.so_reuseport", Value::Int(on)) => read.reuse_port = on != 0,
                ("grpc.max_concurrent_streams", Value::Int(count)) => {
                    read.engine.limits.max_concurrent_streams = u32::try_from(count).ok();
                }
                (key, value) => read_limit(&mut read.engine.limits, key, &value),
            }
        }
        Ok(read)
    }
}

/// The bounds that both sides have.
fn read_limit(limits: &mut Limits, key: &str, value: &Value) {
    let &Value::Int(number) = value else { return };
    match key {
        // A negative number means no limit.
        "grpc.max_receive_message_length" => limits.max_receive_message_length = usize::try_from(number).ok(),
        "grpc.max_send_message_length" => limits.max_send_message_length = usize::try_from(number).ok(),
        "grpc.max_metadata_size" => {
            let soft = u32::try_from(number).unwrap_or(0);
            limits.max_header_list_size = limits.max_header_list_size.max(soft.saturating_add(soft / 4));
        }
        "grpc.absolute_max_metadata_size" => limits.max_header_list_size = u32::try_from(number).unwrap_or(0),
        _ => {}
    }
}

fn backoff(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0)).max(MIN_BACKOFF)
}

fn pairs(options: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Value)>> {
    options
        .try_iter()?
        .map(|option| {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = option?.extract()?;
            let key = text(&key)?.ok_or_else(|| wrong_type(&key))?;
            Ok((key, read_value(&value)?))
        })
        .collect()
}

fn read_value(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(number) = value.cast::<PyInt>() {
        let number = number.extract().map_err(|_| PyOverflowError::new_err("value too large to convert to int"))?;
        return Ok(Value::Int(number));
    }
    if let Some(text) = text(value)? {
        return Ok(Value::Text(text));
    }
    if value.hasattr("__int__")? { Ok(Value::Pointer) } else { Err(wrong_type(value)) }
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(text.to_str()?.to_owned()));
    }
    Ok(value.cast::<PyBytes>().ok().map(|bytes| String::from_utf8_lossy(bytes.as_bytes()).into_owned()))
}

fn wrong_type(value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type();
    PyTypeError::new_err(format!("Expected int, bytes, or behavior, got {class}"))
}
