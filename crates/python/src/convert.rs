//! Values of Python into values of Rust, and back. Nothing here decides.

use std::time::{Duration, Instant};

use bytes::Bytes;
use farcall_core::{Code, Metadata, MetadataError, Status};
use farcall_engine::Encoding;
use farcall_system::{memory, message::Message};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyString, PyTuple},
};

/// Messages from here on are referenced while they are sent, not copied.
const REFERENCED: usize = 64 << 10;

/// The class of received metadata.
static METADATUM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Remembers the namedtuple class that received metadata is made of.
pub(crate) fn set_metadatum(class: Bound<'_, PyAny>) {
    // Given twice, it is the same class.
    let _ = METADATUM.set(class.py(), class.unbind());
}

/// Metadata as Python gives it. The inner error is metadata that gRPC does not allow.
pub(crate) fn read_metadata(pairs: Option<&Bound<'_, PyAny>>) -> PyResult<Result<Metadata, MetadataError>> {
    let mut metadata = Metadata::new();
    let Some(pairs) = pairs else { return Ok(Ok(metadata)) };
    for pair in pairs.try_iter()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        let key = key_text(&key)?;
        if is_reserved(&key) {
            continue;
        }
        let appended = match (value.cast::<PyString>(), value.cast::<PyBytes>()) {
            (Ok(_), _) if Metadata::is_binary(&key) => {
                let class = value.get_type();
                return Err(PyTypeError::new_err(format!("Binary metadata key=\"{key}\" expected bytes, got {class}")));
            }
            (Ok(text), _) => metadata.append(&key, text.to_str()?),
            (_, Ok(bytes)) => metadata.append(&key, bytes.as_bytes()),
            _ => return Err(PyTypeError::new_err(format!("Expected str or bytes, got {}", value.get_type()))),
        };
        if let Err(error) = appended {
            return Ok(Err(error));
        }
    }
    Ok(Ok(metadata))
}

/// Metadata of a server's answer; what may not be sent is a ValueError.
pub(crate) fn checked_metadata(pairs: &Bound<'_, PyAny>) -> PyResult<Metadata> {
    read_metadata(Some(pairs))?.map_err(|error| PyValueError::new_err(error.to_string()))
}

fn key_text(key: &Bound<'_, PyAny>) -> PyResult<String> {
    match key.cast::<PyString>() {
        Ok(text) => Ok(text.to_str()?.to_owned()),
        Err(_) => Ok(String::from_utf8_lossy(key.cast::<PyBytes>()?.as_bytes()).into_owned()),
    }
}

/// Headers that are gRPC's own to set; a user's are dropped, as in grpcio.
fn is_reserved(key: &str) -> bool {
    matches!(key, "user-agent" | "content-type" | "te")
}

/// Metadata as Python gets it: a tuple of `(key, value)` namedtuples.
pub(crate) fn write_metadata<'py>(py: Python<'py>, metadata: &Metadata) -> PyResult<Bound<'py, PyTuple>> {
    if metadata.is_empty() {
        return Ok(PyTuple::empty(py));
    }
    let class = METADATUM.get(py).map(|class| class.bind(py));
    let entries: PyResult<Vec<Bound<'py, PyAny>>> = metadata
        .iter()
        .map(|(key, value)| {
            let value = if Metadata::is_binary(key) {
                PyBytes::new(py, value).into_any()
            } else {
                PyString::new(py, &String::from_utf8_lossy(value)).into_any()
            };
            match class {
                Some(class) => class.call1((key, value)),
                None => Ok((key, value).into_pyobject(py)?.into_any()),
            }
        })
        .collect();
    PyTuple::new(py, entries?)
}

/// A message on its way out: a large one is referenced, a small one will be copied.
pub(crate) fn read_message<'a>(message: &'a Bound<'_, PyBytes>) -> Message<'a> {
    memory::passes(message.as_bytes().len());
    if message.as_bytes().len() >= REFERENCED {
        Message::Owned(Bytes::from_owner(pyo3::pybacked::PyBackedBytes::from(message.clone())))
    } else {
        Message::Borrowed(message.as_bytes())
    }
}

/// `grpc.Compression` by number.
pub(crate) fn encoding(compression: u32) -> PyResult<Encoding> {
    match compression {
        0 => Ok(Encoding::Identity),
        1 => Ok(Encoding::Deflate),
        2 => Ok(Encoding::Gzip),
        _ => Err(PyValueError::new_err(format!("{compression} is no compression algorithm (0, 1 or 2)"))),
    }
}

/// A received message.
pub(crate) fn write_message<'py>(py: Python<'py>, message: &Bytes) -> Bound<'py, PyBytes> {
    memory::passes(message.len());
    PyBytes::new(py, message)
}

/// When a timeout is over; `None` is never. Not a number, zero and less are over already.
pub(crate) fn deadline(timeout: Option<f64>) -> Option<Instant> {
    let now = Instant::now();
    let timeout = timeout?;
    if timeout.is_nan() || timeout <= 0.0 {
        return Some(now);
    }
    now.checked_add(Duration::try_from_secs_f64(timeout).ok()?)
}

/// Seconds until a deadline, negative after it.
pub(crate) fn time_remaining(deadline: Instant) -> f64 {
    let now = Instant::now();
    if deadline >= now { (deadline - now).as_secs_f64() } else { -(now - deadline).as_secs_f64() }
}

/// Text for people. What is no Unicode in it, such as the lone surrogates that Python makes of bytes it cannot read, becomes
/// U+FFFD: an error must not be lost for what it says.
pub(crate) struct Text(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(text: Borrowed<'_, 'py, PyAny>) -> PyResult<Text> {
        let text = text.cast::<PyString>()?;
        Ok(Text(match text.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => text.to_string_lossy().into_owned(),
        }))
    }
}

/// A status of Python's two parts.
pub(crate) fn status(code: u32, Text(details): Text) -> PyResult<Status> {
    let code = Code::from_number(code).ok_or_else(|| PyValueError::new_err(format!("{code} is no status code")))?;
    Ok(Status::new(code, details))
}
