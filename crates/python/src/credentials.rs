//! `ChannelSecurity`, `ServerSecurity` and `SessionCache` as Python sees them: how connections are secured.

use std::sync::Arc;

use farcall_security::{
    ClientAuth, ClientConfig, ClientOptions, ConfigError, Identity, IdentitySource, PeerCheck, PeerName, Roots,
    ServerConfig, ServerOptions, SignatureAlgorithm, Signer, Verification,
};
use farcall_system::{
    credentials::{ClientSecurity, LocalKind, PortSecurity, SystemClock, cipher_suites, default_roots},
    transport::Auth,
};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyDict, PyInt, PyList},
};

use crate::{calling::Calling, interpreter};

fn read_kind(kind: &str) -> PyResult<LocalKind> {
    match kind {
        "uds" => Ok(LocalKind::Uds),
        "local_tcp" => Ok(LocalKind::Tcp),
        other => Err(PyValueError::new_err(format!("{other:?} is neither \"uds\" nor \"local_tcp\""))),
    }
}

// Clients.

/// How a channel's connections are secured.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct ChannelSecurity(pub(crate) ClientSecurity);

#[pymethods]
impl ChannelSecurity {
    /// Checks that both ends are on one machine: "uds" or "local_tcp".
    #[staticmethod]
    fn local(kind: &str) -> PyResult<ChannelSecurity> {
        Ok(ChannelSecurity(ClientSecurity::local(read_kind(kind)?)))
    }

    /// TLS. Everything that is wrong shows when it connects.
    #[staticmethod]
    #[pyo3(signature = (roots, key, chain, *, sign=None, identity=None, verify="full", check=None))]
    fn tls(
        roots: Option<Vec<u8>>,
        key: Option<Vec<u8>>,
        chain: Option<Vec<u8>>,
        sign: Option<Py<PyAny>>,
        identity: Option<Py<PyAny>>,
        verify: &str,
        check: Option<Py<PyAny>>,
    ) -> PyResult<ChannelSecurity> {
        let verification = match verify {
            "full" => Verification::Full,
            "chain" => Verification::ChainOnly,
            "none" => Verification::None,
            other => {
                let why = format!("verify is \"full\", \"chain\" or \"none\", not {other:?}");
                return Err(PyValueError::new_err(why));
            }
        };
        let waits = sign.is_some() || identity.is_some() || check.is_some();
        let signer = sign.map(|sign| Arc::new(PythonSigner(sign)) as Arc<dyn Signer>);
        let source = identity.map(identity_source);
        let check = check.map(peer_check);
        let make = move || {
            let fixed = match (&key, &chain, &signer) {
                (_, Some(chain), Some(signer)) => Some(Identity::with_signer(chain, Arc::clone(signer))?),
                (Some(key), Some(chain), None) => Some(Identity::from_pem(chain, key)?),
                (None, None, None) => None,
                _ => return Err(ConfigError::HalfIdentity),
            };
            let mut options = ClientOptions::new(
                match &roots {
                    Some(pem) => Roots::from_pem(pem)?,
                    None => default_roots(),
                },
                Arc::new(SystemClock),
            );
            options.identity = match (fixed, &source) {
                (_, Some(source)) => Some(Arc::clone(source)),
                (Some(fixed), None) => Some(Arc::new(move || Some(fixed.clone()))),
                (None, None) => None,
            };
            options.verification = verification;
            options.check = check.clone();
            options.cipher_suites = cipher_suites();
            ClientConfig::new(options)
        };
        let named = verification == Verification::Full;
        Ok(ChannelSecurity(ClientSecurity::tls(Box::new(make), waits, named)))
    }

    /// The same, resuming the sessions in `cache`.
    fn with_sessions(&self, cache: &SessionCache) -> ChannelSecurity {
        ChannelSecurity(self.0.with_sessions(&cache.0))
    }
}

/// TLS sessions that channels may resume.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct SessionCache(farcall_security::SessionCache);

#[pymethods]
impl SessionCache {
    #[new]
    fn new(capacity: usize) -> SessionCache {
        SessionCache(farcall_security::SessionCache::new(capacity.clamp(1, 1 << 16)))
    }
}

/// `sign(data, algorithm) -> bytes`, as Python has it.
struct PythonSigner(Py<PyAny>);

impl PythonSigner {
    fn call<'py>(&self, py: Python<'py>, message: &[u8], algorithm: SignatureAlgorithm) -> PyResult<Bound<'py, PyAny>> {
        let (message, algorithm) = (PyBytes::new(py, message), PyInt::new(py, algorithm.0));
        self.0.bind(py).call_python(&[message.as_any(), algorithm.as_any()])
    }
}

impl Signer for PythonSigner {
    fn sign(&self, message: &[u8], algorithm: SignatureAlgorithm) -> Result<Vec<u8>, String> {
        let signed = interpreter::attach(|py| {
            let signature = self.call(py, message, algorithm).map_err(|error| error.to_string())?;
            signature.extract::<Vec<u8>>().map_err(|_| "a signature is bytes".to_owned())
        });
        signed.unwrap_or_else(|| Err("the interpreter is going away".to_owned()))
    }
}

/// `identity() -> (key, chain) | None`, as Python has it. One that cannot be used leaves the client without.
fn identity_source(ask: Py<PyAny>) -> IdentitySource {
    Arc::new(move || {
        interpreter::attach(|py| {
            let answer =
                ask.bind(py).call_python(&[]).and_then(|answer| answer.extract::<Option<(Vec<u8>, Vec<u8>)>>());
            let made = answer.and_then(|pair| {
                pair.map(|(key, chain)| Identity::from_pem(&chain, &key)).transpose().map_err(config_error)
            });
            made.unwrap_or_else(|error| {
                error.write_unraisable(py, Some(ask.bind(py)));
                None
            })
        })
        .flatten()
    })
}

/// `check(chain) -> None`, which raises when it does not like it.
fn peer_check(check: Py<PyAny>) -> PeerCheck {
    Arc::new(move |chain| {
        let checked = interpreter::attach(|py| {
            let chain: Vec<_> = chain.iter().map(|certificate| PyBytes::new(py, certificate)).collect();
            let checked = PyList::new(py, chain).and_then(|chain| check.bind(py).call_python(&[chain.as_any()]));
            checked.map(drop).map_err(|error| error.value(py).to_string())
        });
        checked.unwrap_or_else(|| Err("the interpreter is going away".to_owned()))
    })
}

// Servers.

/// What is asked of clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    Nothing,
    Optional,
    Certificate,
}

/// What `fetch()` answers now. What cannot be used leaves the last answer in place.
fn renewed(fetch: &Py<PyAny>, demand: Demand) -> Option<ServerConfig> {
    interpreter::attach(|py| {
        let fetched = fetch
            .bind(py)
            .call_python(&[])
            .and_then(|answer| answer.extract::<Option<Certificates>>()?.map(|it| it.config(demand)).transpose());
        fetched.unwrap_or_else(|error| {
            error.write_unraisable(py, Some(fetch.bind(py)));
            None
        })
    })
    .flatten()
}

/// Pairs of key and chain, and the roots that clients are checked against, in PEM.
#[derive(FromPyObject)]
struct Certificates(Vec<(Vec<u8>, Vec<u8>)>, Option<Vec<u8>>);

impl Certificates {
    fn config(&self, demand: Demand) -> PyResult<ServerConfig> {
        self.try_config(demand).map_err(config_error)
    }

    fn try_config(&self, demand: Demand) -> Result<ServerConfig, ConfigError> {
        let identities = self.0.iter().map(|(key, chain)| Identity::from_pem(chain, key)).collect::<Result<_, _>>()?;
        let mut options = ServerOptions::new(identities, Arc::new(SystemClock));
        options.cipher_suites = cipher_suites();
        let roots = || match &self.1 {
            Some(pem) => Roots::from_pem(pem),
            None => Err(ConfigError::NoCertificates("the roots")),
        };
        options.client_auth = match demand {
            Demand::Nothing => ClientAuth::None,
            Demand::Optional => ClientAuth::Optional(roots()?),
            Demand::Certificate => ClientAuth::Required(roots()?),
        };
        ServerConfig::new(options)
    }
}

fn config_error(error: ConfigError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// How a port's connections are secured.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct ServerSecurity(pub(crate) PortSecurity);

#[pymethods]
impl ServerSecurity {
    /// Checks that both ends are on one machine: "uds" or "local_tcp".
    #[staticmethod]
    fn local(kind: &str) -> PyResult<ServerSecurity> {
        Ok(ServerSecurity(PortSecurity::local(read_kind(kind)?)))
    }

    /// TLS with these (key, chain) pairs. ValueError says what is wrong with them.
    #[staticmethod]
    fn tls(pairs: Vec<(Vec<u8>, Vec<u8>)>, roots: Option<Vec<u8>>, clients: &str) -> PyResult<ServerSecurity> {
        let config = Certificates(pairs, roots).config(Demand::read(clients)?)?;
        Ok(ServerSecurity(PortSecurity::Tls(config)))
    }

    /// TLS with what `fetch()` answers at each handshake: (pairs, roots), or None for no change.
    #[staticmethod]
    fn dynamic(
        pairs: Vec<(Vec<u8>, Vec<u8>)>,
        roots: Option<Vec<u8>>,
        fetch: Py<PyAny>,
        clients: &str,
    ) -> PyResult<ServerSecurity> {
        let demand = Demand::read(clients)?;
        let current = Certificates(pairs, roots).config(demand)?;
        Ok(ServerSecurity(PortSecurity::dynamic(current, Box::new(move || renewed(&fetch, demand)))))
    }
}

impl Demand {
    fn read(clients: &str) -> PyResult<Demand> {
        match clients {
            "none" => Ok(Demand::Nothing),
            "optional" => Ok(Demand::Optional),
            "required" => Ok(Demand::Certificate),
            other => {
                let why = format!("clients is \"none\", \"optional\" or \"required\", not {other:?}");
                Err(PyValueError::new_err(why))
            }
        }
    }
}

// Who the other end is.

/// `grpc.ServicerContext.auth_context` of a call whose connection found out this.
pub(crate) fn auth_context<'py>(py: Python<'py>, auth: Option<&Auth>) -> PyResult<Bound<'py, PyDict>> {
    let context = PyDict::new(py);
    let put = |key: &str, values: &[&str]| {
        let values = PyList::new(py, values.iter().map(|value| PyBytes::new(py, value.as_bytes())))?;
        context.set_item(key, values)
    };
    match auth {
        None => {
            put("transport_security_type", &["insecure"])?;
            put("security_level", &["TSI_SECURITY_NONE"])?;
        }
        Some(Auth::Local) => {
            put("transport_security_type", &["local"])?;
            put("security_level", &["TSI_PRIVACY_AND_INTEGRITY"])?;
        }
        Some(Auth::Tls(handshake)) => {
            put("transport_security_type", &["ssl"])?;
            let peer = handshake.peer.as_ref();
            let names = peer.map(|peer| peer.names()).unwrap_or_default();
            if let Some(peer) = peer {
                put("x509_subject", &[&peer.subject()])?;
                if let Some(name) = peer.common_names().first() {
                    put("x509_common_name", &[name])?;
                }
                put("x509_pem_cert", &[&peer.pem()])?;
                let of = |fits: fn(&PeerName) -> bool| -> Vec<&str> {
                    names.iter().filter(|name| fits(name)).map(PeerName::as_str).collect()
                };
                for (key, found) in [
                    ("x509_subject_alternative_name", of(|_| true)),
                    ("peer_dns", of(|name| matches!(name, PeerName::Dns(_)))),
                    ("peer_ip", of(|name| matches!(name, PeerName::Ip(_)))),
                    ("peer_uri", of(|name| matches!(name, PeerName::Uri(_)))),
                    ("peer_email", of(|name| matches!(name, PeerName::Email(_)))),
                ] {
                    if !found.is_empty() {
                        put(key, &found)?;
                    }
                }
            }
            put("security_level", &["TSI_PRIVACY_AND_INTEGRITY"])?;
            put("ssl_session_reused", &[if handshake.resumed { "true" } else { "false" }])?;
            if let Some(name) = &handshake.server_name {
                put("ssl_requested_server_name", &[name])?;
            }
            put("ssl_tls_version", &[handshake.version])?;
            if let Some(group) = &handshake.group {
                put("ssl_negotiated_key_exchange_group", &[group])?;
            }
            let mut uris = names.iter().filter(|name| matches!(name, PeerName::Uri(_)));
            if let (Some(uri), None) = (uris.next(), uris.next())
                && uri.as_str().starts_with("spiffe://")
            {
                put("peer_spiffe_id", &[uri.as_str()])?;
            }
        }
    }
    Ok(context)
}
