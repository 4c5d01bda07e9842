//! The native module of the `farcall` wheel, `farcall._native`: hands for Python, and conversions.
//!
//! What lives here: the classes that Python sees of the blocking hands (`client`, `server`); `aio`, the hands on asyncio
//! loops, with theirs. All are described in `_native.pyi`.
//! What does not: the blocking hands themselves (`farcall-blocking`), what both kinds of hands share (`farcall-system`),
//! anything that decides about HTTP/2 (`farcall-engine`), connectivity (`farcall-channel`) or Python's gRPC API (the
//! `grpc` package of the same wheel).

mod aio;
mod calling;
mod client;
mod convert;
mod credentials;
mod face;
mod interpreter;
mod load;
mod pairs;
mod server;
mod signals;
#[cfg(Py_GIL_DISABLED)]
mod stopped_world;

use pyo3::prelude::*;

/// Tells the module the (key, value) namedtuple class that received metadata is made of.
#[pyfunction]
fn configure(metadatum: Bound<'_, PyAny>) {
    convert::set_metadatum(metadatum);
}

/// The budget of the process: how many bytes it has, how many are there, and how many there are and may still come.
#[pyfunction]
fn memory_budget() -> (usize, usize, usize) {
    let budget = farcall_system::budget::of_process();
    (budget.limit(), budget.used(), budget.promised())
}

#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(configure, module)?)?;
    module.add_function(wrap_pyfunction!(memory_budget, module)?)?;
    module.add_function(wrap_pyfunction!(pairs::option_table, module)?)?;
    module.add_function(wrap_pyfunction!(face::start_trace, module)?)?;
    module.add_function(wrap_pyfunction!(face::channelz, module)?)?;
    module.add_function(wrap_pyfunction!(face::watched, module)?)?;
    module.add_function(wrap_pyfunction!(load::load_interval, module)?)?;
    module.add_class::<load::Load>()?;
    module.add_class::<client::Channel>()?;
    module.add_class::<client::ClientCall>()?;
    module.add_class::<client::ClientRequests>()?;
    module.add_class::<server::Server>()?;
    module.add_class::<server::ServerCall>()?;
    module.add_class::<server::Handover>()?;
    module.add_class::<credentials::ChannelSecurity>()?;
    module.add_class::<credentials::ServerSecurity>()?;
    module.add_class::<credentials::SessionCache>()?;
    face::install();
    aio::register(module)?;
    interpreter::install_hooks(module)
}
