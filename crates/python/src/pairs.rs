//! Channel and server options as Python gives them, and warnings of those that could not be taken as they were meant,
//! through Python's `warnings` and its `logging`.

use std::collections::HashSet;

use farcall_system::{
    options::{ChannelOptions, ServerOptions, Value, is_size, rows},
    process::PerProcess,
};
use pyo3::{
    exceptions::{PyOverflowError, PyTypeError},
    prelude::*,
    types::{PyBytes, PyInt, PyString},
};

/// What has been said once, so that a program that makes channels all day is told once and not all day.
static SAID: PerProcess<HashSet<String>> = PerProcess::new();

/// How many different complaints are remembered; what comes after them is said each time.
const REMEMBERED: usize = 1000;

/// Says what has not been said before, by `warnings` and by `logging`.
///
/// # Errors
/// The program makes errors of warnings.
fn warn(py: Python<'_>, complaints: &[String]) -> PyResult<()> {
    for complaint in complaints {
        if is_new(complaint) {
            py.import("grpc._options")?.call_method1("warn", (complaint,))?;
        }
    }
    Ok(())
}

fn is_new(complaint: &str) -> bool {
    SAID.with(|said| {
        if said.len() >= REMEMBERED {
            return !said.contains(complaint);
        }
        said.insert(complaint.to_owned())
    })
}

/// A channel's options; warns of those that mean nothing.
///
/// # Errors
/// They are no pairs of a text and an int, a text or an object; or the program makes errors of warnings.
pub(crate) fn channel_options(options: &Bound<'_, PyAny>) -> PyResult<ChannelOptions> {
    let (read, complaints) = ChannelOptions::read(pairs(options)?);
    warn(options.py(), &complaints)?;
    Ok(read)
}

/// A server's options; as [`channel_options`].
pub(crate) fn server_options(options: &Bound<'_, PyAny>) -> PyResult<ServerOptions> {
    let (read, complaints) = ServerOptions::read(pairs(options)?);
    warn(options.py(), &complaints)?;
    Ok(read)
}

/// The options there are: key, type, "channel", "server" or "both", and why it changes nothing here ("": it does).
#[pyfunction]
pub(crate) fn option_table() -> Vec<(&'static str, &'static str, &'static str, &'static str)> {
    rows().collect()
}

fn pairs(options: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Value)>> {
    options
        .try_iter()?
        .map(|option| {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = option?.extract()?;
            let key = text(&key)?.ok_or_else(|| wrong_type(&key))?;
            let value = read_value(&value, is_size(&key))?;
            Ok((key, value))
        })
        .collect()
}

fn read_value(value: &Bound<'_, PyAny>, is_size: bool) -> PyResult<Value> {
    if let Ok(number) = value.cast::<PyInt>() {
        let too_large = |_| PyOverflowError::new_err("value too large to convert to int");
        if is_size {
            return number.extract().map(Value::Size).map_err(too_large);
        }
        return number.extract().map(Value::Int).map_err(too_large);
    }
    if let Some(text) = text(value)? {
        return Ok(Value::Text(text));
    }
    if value.hasattr("__int__")? {
        return Ok(Value::Object(value.get_type().name()?.to_string()));
    }
    Err(wrong_type(value))
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
