//! Code generators that are programs of their own: `protoc-gen-NAME`.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use buffa::{DecodeOptions, Message};
use buffa_descriptor::generated::compiler::{
    CodeGeneratorRequest, CodeGeneratorResponse, Version, code_generator_response,
};
use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};
use farcall_codegen::OutputFile;
use farcall_schema::may_be_unfinished;

use crate::read::error_text;

/// A plugin's answer may have this many bytes; all of Google's public APIs in one go are a fraction of it.
const MAX_RESPONSE: u64 = 1 << 30;

/// What a plugin may ask for.
#[derive(Clone, Copy)]
struct Limits {
    /// Bytes it may write.
    output: u64,
    /// How long its output may stay open once it has ended itself.
    patience: Duration,
}

const LIMITS: Limits = Limits { output: MAX_RESPONSE, patience: Duration::from_secs(10) };

/// While a plugin writes, how often to see whether it is still there. What it writes is taken at once.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the plugin is told of the compiler that calls it.
const COMPILER_VERSION: (i32, i32, i32) = (7, 35, 1);

const FEATURE_PROTO3_OPTIONAL: u64 = 1;
const FEATURE_SUPPORTS_EDITIONS: u64 = 2;

/// A plugin and where it is.
pub(crate) struct Plugin<'a> {
    /// `protoc-gen-NAME`
    pub(crate) name: &'a str,
    /// From `--plugin`; otherwise PATH is searched for the name.
    pub(crate) program: Option<&'a str>,
}

/// Failures that protoc prints itself, before the line that begins with the flag.
pub(crate) struct Failure {
    /// Printed as it is.
    pub(crate) notice: String,
    /// Printed after `--x_out: `.
    pub(crate) error: String,
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self { notice: String::new(), error }
    }
}

impl Plugin<'_> {
    /// Runs the plugin for `inputs`. `files` are the inputs and all their imports, as written; `stripped` are the
    /// same without options that are retained in source only.
    pub(crate) fn generate(
        &self,
        inputs: &[String],
        files: &[Arc<FileDescriptorProto>],
        stripped: &[&FileDescriptorProto],
        parameter: &str,
    ) -> Result<Vec<OutputFile>, Failure> {
        let names: HashSet<&str> = inputs.iter().map(String::as_str).collect();
        let is_input = |file: &FileDescriptorProto| file.name.as_deref().is_some_and(|name| names.contains(name));
        let (major, minor, patch) = COMPILER_VERSION;
        let complete = |file: &FileDescriptorProto| {
            let mut file = file.clone();
            farcall_schema::complete_json_names(&mut file);
            file
        };
        let request = CodeGeneratorRequest {
            file_to_generate: inputs.to_vec(),
            parameter: (!parameter.is_empty()).then(|| parameter.to_owned()),
            proto_file: files
                .iter()
                .zip(stripped)
                .map(|(file, &stripped)| complete(if is_input(file) { stripped } else { file }))
                .collect(),
            source_file_descriptors: files.iter().filter(|file| is_input(file)).map(|file| complete(file)).collect(),
            compiler_version: Some(Version {
                major: Some(major),
                minor: Some(minor),
                patch: Some(patch),
                suffix: Some(String::new()),
                ..Version::default()
            })
            .into(),
            ..CodeGeneratorRequest::default()
        };
        let output = self.run(request.encode_to_vec(), LIMITS)?;
        self.judge(&output, files.iter().map(Arc::as_ref).filter(|&file| is_input(file)))
    }

    /// What is in the plugin's answer about `inputs`.
    pub(crate) fn judge<'a>(
        &self,
        output: &[u8],
        inputs: impl Iterator<Item = &'a FileDescriptorProto>,
    ) -> Result<Vec<OutputFile>, Failure> {
        let options = DecodeOptions::new().with_element_memory_limit(MAX_RESPONSE as usize);
        let response: CodeGeneratorResponse = options
            .decode_from_slice(output)
            .map_err(|_| format!("{}: Plugin output is unparseable: {}", self.name, escaped(output)))?;
        let error = response.error.clone().unwrap_or_default();
        for file in inputs {
            if let Some(notice) = self.refusal(file, &response) {
                return Err(Failure { notice, error });
            }
        }
        if !error.is_empty() {
            return Err(error.into());
        }
        Ok(outputs(self.name, response.file)?)
    }

    fn run(&self, request: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Failure> {
        let mut child = self.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // A plugin may write before it has read all, or never read: it is fed from the side and judged by its exit
        // status and its answer.
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&request)));
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.map_or(Ok(0), |stdout| stdout.take(limits.output + 1).read_to_end(&mut output));
            sender.send(read.map(|_| output))
        });
        let (output, status) = self.finish(&mut child, &answer, limits)?;
        if output.len() as u64 > limits.output {
            return Err(format!("{}: Plugin output is larger than {} bytes.", self.name, limits.output).into());
        }
        if status.success() { Ok(output) } else { Err(format!("{}: {}", self.name, ended(status)).into()) }
    }

    /// Waits for the end of the output and of the plugin, whichever comes first.
    fn finish(
        &self,
        child: &mut Child,
        answer: &mpsc::Receiver<io::Result<Vec<u8>>>,
        limits: Limits,
    ) -> Result<(Vec<u8>, ExitStatus), Failure> {
        let failed = |error: io::Error| Failure::from(format!("{}: {}", self.name, error_text(&error)));
        loop {
            let read = match answer.recv_timeout(LOOK_AGAIN) {
                Ok(read) => read,
                Err(_) if child.try_wait().map_err(failed)?.is_none() => continue,
                Err(_) => answer.recv_timeout(limits.patience).map_err(|_| {
                    // Something it started has its output and keeps it.
                    format!("{}: Plugin has ended, but its output has not.", self.name)
                })?,
            };
            if read.as_ref().is_ok_and(|output| output.len() as u64 > limits.output) {
                let _ = child.kill();
            }
            let status = child.wait().map_err(failed)?;
            return Ok((read.map_err(failed)?, status));
        }
    }

    fn spawn(&self) -> Result<Child, Failure> {
        // A program that was named is not looked for on PATH.
        let program = match self.program {
            Some(path) if !path.contains('/') => format!("./{path}"),
            Some(path) => path.to_owned(),
            None => self.name.to_owned(),
        };
        Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| {
            let shown = self.program.unwrap_or(self.name);
            let reason = match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => "program not found or is not executable".into(),
                _ => error.to_string(),
            };
            Failure {
                notice: format!(
                    "{shown}: {reason}\nPlease specify a program using absolute path or make sure the program is \
                     available in your PATH system variable\n"
                ),
                error: format!("{}: Plugin failed with status code 1.", self.name),
            }
        })
    }

    /// Why the plugin must not be used for `file`, if it says that it does not know such files.
    fn refusal(&self, file: &FileDescriptorProto, response: &CodeGeneratorResponse) -> Option<String> {
        let plugin = self.name;
        let name = file.name.as_deref().unwrap_or_default();
        let supports = |feature| response.supported_features.unwrap_or_default() & feature != 0;
        if !supports(FEATURE_PROTO3_OPTIONAL) && has_proto3_optional(file) {
            return Some(format!(
                "{name}: is a proto3 file that contains optional fields, but code generator {plugin} hasn't been \
                 updated to support optional fields in proto3. Please ask the owner of this code generator to support \
                 proto3 optional.\n"
            ));
        }
        let edition = file.edition?;
        if !supports(FEATURE_SUPPORTS_EDITIONS) {
            return Some(format!(
                "{name}: is an editions file, but code generator {plugin} hasn't been updated to support editions \
                 yet.  Please ask the owner of this code generator to add support or switch back to \
                 proto2/proto3.\n\nSee https://protobuf.dev/editions/overview/ for more information."
            ));
        }
        // The typed descriptors know edition 2026 by no other name.
        let edition = if edition == Edition::EDITION_MAX { EDITION_2026 } else { edition as i32 };
        let shown = edition_name(edition);
        let unsupported =
            format!("{name}: is a file using edition {shown}, which isn't supported by code generator {plugin}.  ");
        if edition == Edition::EDITION_UNSTABLE as i32 && may_be_unfinished(name) {
            return None;
        }
        match (response.minimum_edition, response.maximum_edition) {
            (Some(minimum), _) if edition < minimum => {
                Some(format!("{unsupported}Please upgrade your file to at least edition {}.", edition_name(minimum)))
            }
            (_, maximum) if edition > maximum.unwrap_or_default() => Some(format!(
                "{unsupported}Please ask the owner of this code generator to add support or switch back to a maximum \
                 of edition {}.",
                edition_name(maximum.unwrap_or_default())
            )),
            _ => None,
        }
    }
}

fn has_proto3_optional(file: &FileDescriptorProto) -> bool {
    let mut messages: Vec<_> = file.message_type.iter().collect();
    let mut fields: Vec<_> = file.extension.iter().collect();
    while let Some(message) = messages.pop() {
        messages.extend(&message.nested_type);
        fields.extend(message.field.iter().chain(&message.extension));
    }
    file.syntax.as_deref() == Some("proto3") && fields.iter().any(|field| field.proto3_optional == Some(true))
}

const EDITION_2026: i32 = 1002;

fn edition_name(number: i32) -> String {
    match number {
        EDITION_2026 => "2026".into(),
        number if number == Edition::EDITION_PROTO2 as i32 => "PROTO2".into(),
        number if number == Edition::EDITION_PROTO3 as i32 => "PROTO3".into(),
        number if number == Edition::EDITION_2023 as i32 => "2023".into(),
        number if number == Edition::EDITION_2024 as i32 => "2024".into(),
        0 => "UNKNOWN".into(),
        number => number.to_string(),
    }
}

#[cfg(unix)]
fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("Plugin failed with status code {code}."),
        (None, Some(signal)) => format!("Plugin killed by signal {signal}."),
        (None, None) => "Neither WEXITSTATUS nor WTERMSIG is true?".into(),
    }
}

#[cfg(not(unix))]
fn ended(status: ExitStatus) -> String {
    format!("Plugin failed with status code {}.", status.code().unwrap_or(1))
}

/// The start of what a plugin wrote, printable.
fn escaped(output: &[u8]) -> String {
    const SHOWN: usize = 4096;
    output[..output.len().min(SHOWN)].iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' | b'\'' | b'\\' => text.extend(['\\', char::from(byte)]),
            0x20..=0x7e => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
        text
    })
}

/// Files of a response; a piece without a name goes on with the file before it.
fn outputs(plugin: &str, pieces: Vec<code_generator_response::File>) -> Result<Vec<OutputFile>, String> {
    let mut files: Vec<OutputFile> = Vec::new();
    for piece in pieces {
        let content = piece.content.unwrap_or_default();
        let insertion_point = piece.insertion_point.filter(|point| !point.is_empty());
        match piece.name.filter(|name| !name.is_empty()) {
            Some(name) => files.push(OutputFile { name, insertion_point, content }),
            None => match files.last_mut() {
                Some(file) => file.content.push_str(&content),
                None => {
                    return Err(format!("{plugin}: First file chunk returned by plugin did not specify a file name."));
                }
            },
        }
    }
    Ok(files)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What comes of a plugin that is this script.
    fn run(name: &str, script: &str, limits: Limits) -> Result<Vec<u8>, String> {
        let path = std::env::temp_dir().join(format!("farcall-protoc-gen-{name}-{}", std::process::id()));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("an executable script");
        let plugin = Plugin { name: "protoc-gen-x", program: path.to_str() };
        let result = plugin.run(vec![0; 1 << 20], limits);
        std::fs::remove_file(&path).expect("removed");
        result.map_err(|failure| failure.error)
    }

    const SMALL: Limits = Limits { output: 1000, ..LIMITS };

    #[test]
    fn output_is_taken_up_to_its_limit() {
        assert_eq!(run("limit", "head -c 1000 /dev/zero", SMALL), Ok(vec![0; 1000]));
        let too_large = Err("protoc-gen-x: Plugin output is larger than 1000 bytes.".to_owned());
        assert_eq!(run("past", "head -c 1001 /dev/zero; exit 3", SMALL), too_large);
        // One that never ends, whatever becomes of its output.
        assert_eq!(run("flood", "trap '' PIPE; while :; do echo 0123456789; done 2>/dev/null", SMALL), too_large);
    }

    #[test]
    fn a_plugin_that_closes_its_output_is_waited_for() {
        let failed = Err("protoc-gen-x: Plugin failed with status code 3.".to_owned());
        assert_eq!(run("closes", "exec >&-; cat > /dev/null; exit 3", LIMITS), failed);
    }

    #[test]
    fn output_that_outlives_the_plugin_is_not_waited_for() {
        let impatient = Limits { patience: Duration::from_millis(1), ..LIMITS };
        let left_open = Err("protoc-gen-x: Plugin has ended, but its output has not.".to_owned());
        assert_eq!(run("left-open", "sleep 5 2>/dev/null & exit 0", impatient), left_open);
    }
}
