//! Calls from the native module into Python.
//!
//! While the interpreter ends, before 3.14, it ends each thread that would go on with Python code by `pthread_exit`, and
//! that unwinds the stack. Where a frame of Rust lies below the Python code, as in a task that an event of the loop
//! resumed, the unwinding runs destructors that touch Python's objects without leave, and ends in `catch_unwind`, which
//! aborts the process. What may run Python code is therefore called from here: the thread stops for good instead, as it
//! does in 3.14 and as PyO3 sees to where a thread attaches. See <https://github.com/rust-lang/rust/issues/135929>.

#![allow(unsafe_code)]

use std::mem;

use pyo3::{
    ffi,
    prelude::*,
    types::{PyString, PyTuple},
};

/// The most arguments of a call, its object among them.
const MAX_ARGUMENTS: usize = 4;

/// Calls that keep an ending interpreter from unwinding us.
pub(crate) trait Calling<'py> {
    /// `self(*arguments)`.
    fn call_python(&self, arguments: &[&Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>>;

    /// `self.name(*arguments)`.
    fn call_python_method(
        &self,
        name: &Bound<'py, PyString>,
        arguments: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>>;

    /// `self.name(*arguments)`, of which the last ones are given by the names in `keywords`.
    fn call_python_method_with(
        &self,
        name: &Bound<'py, PyString>,
        arguments: &[&Bound<'py, PyAny>],
        keywords: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// What PyObject_VectorcallDict and PyObject_VectorcallMethod are: PyO3 declares them as functions that never unwind.
type Vectorcall = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Those functions as PyO3 declares them.
type Declared = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

impl<'py> Calling<'py> for Bound<'py, PyAny> {
    fn call_python(&self, arguments: &[&Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyAny>> {
        vectorcall(ffi::PyObject_VectorcallDict, self, None, arguments, None)
    }

    fn call_python_method(
        &self,
        name: &Bound<'py, PyString>,
        arguments: &[&Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall(ffi::PyObject_VectorcallMethod, name, Some(self), arguments, None)
    }

    fn call_python_method_with(
        &self,
        name: &Bound<'py, PyString>,
        arguments: &[&Bound<'py, PyAny>],
        keywords: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall(ffi::PyObject_VectorcallMethod, name, Some(self), arguments, Some(keywords))
    }
}

/// Calls `called` with `object` before the arguments, if there is one; `keywords` are the last arguments' names.
fn vectorcall<'py>(
    function: Declared,
    called: &Bound<'py, PyAny>,
    object: Option<&Bound<'py, PyAny>>,
    arguments: &[&Bound<'py, PyAny>],
    keywords: Option<&Bound<'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    // The callee may use the place before the first argument, which saves it a copy of them all.
    let mut places = [std::ptr::null_mut(); MAX_ARGUMENTS + 1];
    let mut count = 0;
    for argument in object.into_iter().chain(arguments.iter().copied()) {
        count += 1;
        places[count] = argument.as_ptr();
    }
    let positional = count - keywords.map_or(0, |names| names.len());
    let stop = StopForGood;
    // SAFETY: The function is the same, but for what the compiler assumes of it. All pointers are of objects that are
    // borrowed for the call, which `called` proves to be made while attached; `places` holds `count` of them from its
    // second place on, and its first may be overwritten, as the flag says. The result is a new reference or null with
    // an exception set.
    let result = unsafe {
        let function = mem::transmute::<Declared, Vectorcall>(function);
        let keywords = keywords.map_or(std::ptr::null_mut(), |names| names.as_ptr());
        let flags = positional | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
        let result = function(called.as_ptr(), places.as_ptr().add(1), flags, keywords);
        Bound::from_owned_ptr_or_err(called.py(), result)
    };
    mem::forget(stop);
    result
}

/// Dropped by an unwinding that is the thread's end.
struct StopForGood;

impl Drop for StopForGood {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}
