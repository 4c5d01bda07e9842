//! Whom a client trusts that was not told: the environment's file, else the system's roots, else those built in.

use std::{env, fs};

use farcall_security::Roots;

use crate::process::PerProcess;

/// What the choice depends on.
#[derive(Clone, PartialEq)]
struct Choice {
    file: Option<String>,
    not_the_systems: bool,
    directory: Option<String>,
}

/// The last answer: reading a system's roots takes milliseconds.
static LAST: PerProcess<Option<(Choice, Roots)>> = PerProcess::new();

/// The roots as the environment has them now.
pub fn default() -> Roots {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let choice = Choice {
        file: set("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
        not_the_systems: set("GRPC_NOT_USE_SYSTEM_SSL_ROOTS").is_some_and(|value| is_true(&value)),
        directory: set("GRPC_SYSTEM_SSL_ROOTS_DIR"),
    };
    LAST.with(|last| {
        if let Some((known, roots)) = last
            && *known == choice
        {
            return roots.clone();
        }
        let roots = find(&choice);
        *last = Some((choice, roots.clone()));
        roots
    })
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y" | "t")
}

fn find(choice: &Choice) -> Roots {
    let file = |path: &String| Roots::from_pem(&fs::read(path).ok()?).ok();
    choice
        .file
        .as_ref()
        .and_then(file)
        .or_else(|| if choice.not_the_systems { None } else { systems(choice.directory.as_ref()) })
        .unwrap_or_else(Roots::bundled)
}

fn systems(directory: Option<&String>) -> Option<Roots> {
    if let Some(directory) = directory {
        // One file after the other; what is no certificate is passed over.
        let files = fs::read_dir(directory).ok()?.filter_map(|entry| fs::read(entry.ok()?.path()).ok());
        let pem = files.fold(Vec::new(), |mut all, file| {
            all.extend(file);
            all.push(b'\n');
            all
        });
        return Roots::from_pem(&pem).ok();
    }
    let found = rustls_native_certs::load_native_certs();
    Roots::from_der(found.certs.into_iter().map(|certificate| certificate.to_vec())).ok()
}
