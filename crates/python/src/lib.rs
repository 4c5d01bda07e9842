//! The native module of the `farcall` wheel, `farcall._native`: hands for Python, and conversions.
//!
//! What lives here: `sync`, the blocking hands (sockets, one reactor thread, callers that read for themselves), and the
//! classes that Python sees of them (`client`, `server`); `aio`, the hands on asyncio loops, with theirs. All are
//! described in `_native.pyi`.
//! What does not: anything that decides about HTTP/2 (`farcall-engine`), connectivity (`farcall-channel`) or Python's
//! gRPC API (the `grpc` package of the same wheel).

mod aio;
mod calling;
mod channelz;
mod client;
mod convert;
mod credentials;
mod memory;
mod options;
mod process;
mod proxy;
mod reports;
mod server;
mod signals;
#[cfg(Py_GIL_DISABLED)]
mod stopped_world;
mod sync;
mod trace;

use pyo3::prelude::*;

/// Tells the module the (key, value) namedtuple class that received metadata is made of.
#[pyfunction]
fn configure(metadatum: Bound<'_, PyAny>) {
    convert::set_metadatum(metadatum);
}

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(configure, module)?)?;
    module.add_function(wrap_pyfunction!(options::option_table, module)?)?;
    module.add_function(wrap_pyfunction!(trace::trace, module)?)?;
    module.add_function(wrap_pyfunction!(channelz::channelz, module)?)?;
    module.add_function(wrap_pyfunction!(sync::reactor::watched, module)?)?;
    module.add_class::<client::Channel>()?;
    module.add_class::<client::ClientCall>()?;
    module.add_class::<client::ClientRequests>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<server::ServerCall>()?;
    module.add_class::<server::Handover>()?;
    module.add_class::<credentials::ChannelSecurity>()?;
    module.add_class::<credentials::ServerSecurity>()?;
    module.add_class::<credentials::SessionCache>()?;
    aio::register(module)?;
    process::install_hooks(module)
}
