//! `grpc_tools._protoc_compiler`: the compiler for Python, and nothing but conversions.
//!
//! What the functions do is in `farcall-protoc`; what Python sees of them is in
//! `python/farcall-tools/farcall/_packages/grpc_tools/_protoc_compiler.pyi`.

use std::borrow::Cow;

use farcall_protoc::{Bundled, Generated, generate, run};
use farcall_schema::{Diagnostic, Severity};
use pyo3::exceptions::{PyException, PyValueError, PyWarning};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// One error in a `.proto` file.
#[pyclass(extends = PyException, subclass, module = "grpc_tools._protoc_compiler", get_all, set_all)]
struct ProtocError {
    filename: Py<PyBytes>,
    line: i64,
    column: i64,
    message: Py<PyBytes>,
}

/// One warning about a `.proto` file.
#[pyclass(extends = PyWarning, subclass, module = "grpc_tools._protoc_compiler", get_all, set_all)]
struct ProtocWarning {
    filename: Py<PyBytes>,
    line: i64,
    column: i64,
    message: Py<PyBytes>,
}

/// All errors of a `.proto` file that could not be compiled.
#[pyclass(extends = PyException, subclass, module = "grpc_tools._protoc_compiler")]
struct ProtocErrors {
    errors: Py<PyList>,
}

/// The methods that errors and warnings share; `$kind` is the word in their text.
macro_rules! finding {
    ($type:ident, $kind:literal) => {
        #[pymethods]
        impl $type {
            #[new]
            fn new(filename: Py<PyBytes>, line: i64, column: i64, message: Py<PyBytes>) -> Self {
                Self { filename, line, column, message }
            }

            fn __str__(&self, py: Python<'_>) -> String {
                let (filename, message) = (text(&self.filename, py), text(&self.message, py));
                format!("{filename}:{}:{} {}: {message}", self.line, self.column, $kind)
            }

            fn __repr__(&self, py: Python<'_>) -> String {
                let (filename, message) = (text(&self.filename, py), text(&self.message, py));
                format!(
                    "{}(filename={filename:?}, line={}, column={}, message={message:?})",
                    stringify!($type),
                    self.line,
                    self.column
                )
            }
        }
    };
}

finding!(ProtocError, "error");
finding!(ProtocWarning, "warning");

fn text<'a>(bytes: &'a Py<PyBytes>, py: Python<'_>) -> Cow<'a, str> {
    String::from_utf8_lossy(bytes.as_bytes(py))
}

#[pymethods]
impl ProtocErrors {
    #[new]
    fn new(errors: Py<PyList>) -> Self {
        Self { errors }
    }

    fn errors(&self, py: Python<'_>) -> Py<PyList> {
        self.errors.clone_ref(py)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let lines: PyResult<Vec<String>> =
            self.errors.bind(py).iter().map(|error| Ok(error.str()?.to_string())).collect();
        Ok(lines?.join("\n"))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("ProtocErrors({})", self.errors.bind(py).repr()?))
    }
}

fn utf8(bytes: &[u8]) -> PyResult<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| PyValueError::new_err("argument is not UTF-8"))
}

/// Runs a command line; see the stub file.
#[pyfunction]
fn run_main(py: Python<'_>, args: Vec<Vec<u8>>) -> PyResult<u8> {
    let args: Vec<String> = args.iter().map(|arg| utf8(arg)).collect::<PyResult<_>>()?;
    Ok(py.detach(|| run(&args, Bundled::Absent, &mut std::io::stdout().lock(), &mut std::io::stderr().lock())))
}

/// `_pb2.py` for a file and its imports; see the stub file.
#[pyfunction]
fn get_protos<'py>(
    py: Python<'py>,
    protobuf_path: &[u8],
    include_paths: Vec<Vec<u8>>,
) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    modules(py, protobuf_path, &include_paths, Generated::Protos)
}

/// `_pb2_grpc.py` for a file and its imports; see the stub file.
#[pyfunction]
fn get_services<'py>(
    py: Python<'py>,
    protobuf_path: &[u8],
    include_paths: Vec<Vec<u8>>,
) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    modules(py, protobuf_path, &include_paths, Generated::Services)
}

fn modules<'py>(
    py: Python<'py>,
    path: &[u8],
    include_paths: &[Vec<u8>],
    what: Generated,
) -> PyResult<Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>> {
    let path = utf8(path)?;
    let include_paths: Vec<String> = include_paths.iter().map(|path| utf8(path)).collect::<PyResult<_>>()?;
    let outcome = py.detach(|| generate(&path, &include_paths, what));
    let of = |severity| outcome.diagnostics.iter().filter(move |diagnostic| diagnostic.severity == severity);
    for warning in of(Severity::Warning) {
        warn(py, warning)?;
    }
    if !outcome.ok {
        return Err(errors_raised(py, of(Severity::Error))?);
    }
    let bytes = |text: &str| PyBytes::new(py, text.as_bytes());
    Ok(outcome.files.iter().map(|file| (bytes(&file.name), bytes(&file.content))).collect())
}

fn warn(py: Python<'_>, diagnostic: &Diagnostic) -> PyResult<()> {
    let warning = py.get_type::<ProtocWarning>().call1(parts(py, diagnostic))?;
    py.import("warnings")?.call_method1("warn", (warning,))?;
    Ok(())
}

fn errors_raised<'a>(py: Python<'_>, errors: impl Iterator<Item = &'a Diagnostic>) -> PyResult<PyErr> {
    let list = PyList::empty(py);
    for diagnostic in errors {
        list.append(py.get_type::<ProtocError>().call1(parts(py, diagnostic))?)?;
    }
    Ok(PyErr::from_value(py.get_type::<ProtocErrors>().call1((list,))?))
}

fn parts(py: Python<'_>, diagnostic: &Diagnostic) -> (Py<PyBytes>, i64, i64, Py<PyBytes>) {
    let bytes = |text: &str| PyBytes::new(py, text.as_bytes()).unbind();
    let line = diagnostic.line.map_or(-1, i64::from);
    (bytes(&diagnostic.file), line, i64::from(diagnostic.column), bytes(&diagnostic.message))
}

#[pymodule]
fn _protoc_compiler(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProtocError>()?;
    module.add_class::<ProtocErrors>()?;
    module.add_class::<ProtocWarning>()?;
    module.add_function(wrap_pyfunction!(run_main, module)?)?;
    module.add_function(wrap_pyfunction!(get_protos, module)?)?;
    module.add_function(wrap_pyfunction!(get_services, module)?)?;
    Ok(())
}
