//! argv, read as protoc reads it.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use farcall_schema::edition_by_name;

/// A search root: files under `disk` are known as `virtual_path/...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) virtual_path: String,
    pub(crate) disk: String,
}

/// `--x_out=parameter:directory`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputDirective {
    /// With the dashes: `--python_out`.
    pub(crate) flag: String,
    pub(crate) parameter: String,
    pub(crate) directory: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    #[default]
    Gcc,
    Msvs,
    /// Our own: drawn, with the line of source.
    Pretty,
}

/// What is done with the inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Generate,
    /// Text on standard input becomes a message of this type on standard output.
    Encode(String),
    /// A message of this type on standard input becomes text on standard output.
    Decode(String),
    /// The same without a type.
    DecodeRaw,
    PrintFreeFieldNumbers,
}

/// What the user asked for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) roots: Vec<Mapping>,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<OutputDirective>,
    /// Programs by plugin name (`protoc-gen-x`).
    pub(crate) plugins: HashMap<String, String>,
    /// `--x_opt` by plugin name, joined by commas.
    pub(crate) plugin_options: Vec<(String, String)>,
    pub(crate) unsafe_allow_out_dir_escape: bool,
    pub(crate) dependency_out: Option<String>,
    pub(crate) mode: Mode,
    /// With [`Mode::Encode`]: sort the entries of maps.
    pub(crate) deterministic_output: bool,
    /// What inputs may import, if that is restricted.
    pub(crate) direct_dependencies: Option<HashSet<String>>,
    /// Has `%s` for the import.
    pub(crate) direct_dependencies_violation: Option<String>,
    /// What inputs may import for options, if that is restricted.
    pub(crate) option_dependencies: Option<HashSet<String>>,
    /// Has `%s` for the import.
    pub(crate) option_dependencies_violation: Option<String>,
    /// Whether inputs may not have services.
    pub(crate) disallow_services: bool,
    pub(crate) descriptor_set_in: Vec<String>,
    pub(crate) descriptor_set_out: Option<String>,
    pub(crate) edition_defaults_out: Option<String>,
    /// `None` is the first edition that is supported, or the last.
    pub(crate) edition_defaults_minimum: Option<i32>,
    pub(crate) edition_defaults_maximum: Option<i32>,
    pub(crate) include_imports: bool,
    pub(crate) include_source_info: bool,
    pub(crate) retain_options: bool,
    pub(crate) fatal_warnings: bool,
    /// Whether inputs may be of an edition that is not finished.
    pub(crate) experimental_editions: bool,
    /// `None` leaves it to where standard error goes.
    pub(crate) error_format: Option<ErrorFormat>,
}

/// What argv leads to.
pub(crate) enum Action {
    Compile(Box<Arguments>),
    Help,
    Version,
    Notices,
    /// The message is on standard error.
    Fail,
}

/// The generators that are built in.
const GENERATORS: [&str; 4] = ["--python_out", "--pyi_out", "--grpc_python_out", "--rust_out"];

/// Flags that never take the next argument as their value.
const WITHOUT_VALUE: [&str; 15] = [
    "-h",
    "--help",
    "--disallow_services",
    "--include_imports",
    "--include_source_info",
    "--retain_options",
    "--version",
    "--decode_raw",
    "--print_free_field_numbers",
    "--experimental_allow_proto3_optional",
    "--experimental_editions",
    "--deterministic_output",
    "--fatal_warnings",
    "--notices",
    "--unsafe_allow_out_dir_escape",
];

/// Reads `arguments` (without the program's name, which is `program`).
pub(crate) fn parse(program: &str, arguments: &[String], stderr: &mut dyn Write) -> Action {
    let mut parser = Parser { program, stderr, arguments: Arguments::default(), seen: HashSet::new() };
    match parser.parse(arguments) {
        Ok(None) => Action::Compile(Box::new(parser.arguments)),
        Ok(Some(action)) => action,
        Err(message) => {
            let _ = writeln!(parser.stderr, "{message}");
            Action::Fail
        }
    }
}

struct Parser<'a> {
    program: &'a str,
    stderr: &'a mut dyn Write,
    arguments: Arguments,
    /// Flags met that may be given only once.
    seen: HashSet<String>,
}

type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn parse(&mut self, arguments: &[String]) -> Parsed<Option<Action>> {
        let arguments = expand_argument_files(arguments)?;
        if arguments.is_empty() {
            return Ok(Some(Action::Help));
        }
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (flag, value) = split(argument);
            let value = match value {
                Some(value) => value,
                None => match rest.next() {
                    Some(next) if !next.starts_with('-') => next,
                    _ => return Err(missing_value(flag)),
                },
            };
            if let Some(action) = self.interpret(flag, value)? {
                return Ok(Some(action));
            }
        }
        self.check()?;
        Ok(None)
    }

    fn interpret(&mut self, flag: &str, value: &str) -> Parsed<Option<Action>> {
        match flag {
            "" if value.is_empty() => return Err(self.empty_argument()),
            "" => self.arguments.inputs.push(value.to_owned()),
            "-h" | "--help" => return Ok(Some(Action::Help)),
            "--version" => return Ok(Some(Action::Version)),
            "-I" | "--proto_path" => self.search_path(value)?,
            "-o" | "--descriptor_set_out" => {
                self.once("--descriptor_set_out", flag)?;
                if self.arguments.mode != Mode::Generate {
                    return Err("Cannot use --encode or --decode and generate descriptors at the same time.".into());
                }
                self.arguments.descriptor_set_out = Some(non_empty(flag, value)?.to_owned());
            }
            "--descriptor_set_in" => {
                self.once(flag, flag).map_err(|message| {
                    let advice = "pass them all as a single parameter separated by ':'.";
                    format!("{message} To specify multiple descriptor sets, {advice}")
                })?;
                if self.arguments.dependency_out.is_some() {
                    return Err("--descriptor_set_in cannot be used with --dependency_out.".into());
                }
                let names = non_empty(flag, value)?.split(':').filter(|name| !name.is_empty());
                self.arguments.descriptor_set_in = names.map(str::to_owned).collect();
            }
            "--include_imports" => self.arguments.include_imports = self.once(flag, flag)?,
            "--include_source_info" => self.arguments.include_source_info = self.once(flag, flag)?,
            "--retain_options" => self.arguments.retain_options = self.once(flag, flag)?,
            "--fatal_warnings" => self.arguments.fatal_warnings = self.once(flag, flag)?,
            "--experimental_allow_proto3_optional" => {}
            "--experimental_editions" => self.arguments.experimental_editions = true,
            "--error_format" => {
                self.arguments.error_format = Some(match value {
                    "gcc" => ErrorFormat::Gcc,
                    "msvs" => ErrorFormat::Msvs,
                    "pretty" => ErrorFormat::Pretty,
                    unknown => return Err(format!("Unknown error format: {unknown}")),
                });
            }
            "--dependency_out" => {
                self.once(flag, flag)?;
                if !self.arguments.descriptor_set_in.is_empty() {
                    return Err("--dependency_out cannot be used with --descriptor_set_in.".into());
                }
                self.arguments.dependency_out = Some(non_empty(flag, value)?.to_owned());
            }
            "--print_free_field_numbers" => self.print_mode()?,
            "--encode" | "--decode" | "--decode_raw" => self.codec_mode(flag, value)?,
            "--deterministic_output" => self.arguments.deterministic_output = self.once(flag, flag)?,
            "--direct_dependencies" => {
                let names = self.allowed_imports(flag, "direct", value)?;
                self.arguments.direct_dependencies = Some(names);
            }
            "--option_dependencies" => {
                let names = self.allowed_imports(flag, "option", value)?;
                self.arguments.option_dependencies = Some(names);
            }
            "--direct_dependencies_violation_msg" => {
                self.arguments.direct_dependencies_violation = Some(value.to_owned());
            }
            "--edition_defaults_out" => {
                self.once(flag, flag)?;
                self.arguments.edition_defaults_out = Some(non_empty(flag, value)?.to_owned());
            }
            "--edition_defaults_minimum" => self.arguments.edition_defaults_minimum = self.edition(flag, value)?,
            "--edition_defaults_maximum" => self.arguments.edition_defaults_maximum = self.edition(flag, value)?,
            "--option_dependencies_violation_msg" => {
                self.arguments.option_dependencies_violation = Some(value.to_owned());
            }
            "--disallow_services" => self.arguments.disallow_services = true,
            "--enable_codegen_trace" => {}
            "--notices" => return Ok(Some(Action::Notices)),
            "--unsafe_allow_out_dir_escape" => self.arguments.unsafe_allow_out_dir_escape = true,
            "--plugin" => self.plugin(value),
            output if output.starts_with("--") && output.ends_with("_out") => self.output(output, value)?,
            option if option.starts_with("--") && option.ends_with("_opt") => self.plugin_option(option, value),
            unknown => return Err(format!("Unknown flag: {unknown}")),
        }
        Ok(None)
    }

    /// Notes that a flag was given; an error if it already was. `name` is shared by a flag's spellings.
    fn once(&mut self, name: &str, spelling: &str) -> Parsed<bool> {
        if self.seen.insert(name.to_owned()) { Ok(true) } else { Err(format!("{spelling} may only be passed once.")) }
    }

    fn edition(&mut self, flag: &str, value: &str) -> Parsed<Option<i32>> {
        self.once(flag, flag)?;
        match edition_by_name(value) {
            Some(edition) => Ok(Some(edition).filter(|&edition| edition > 0)),
            None => Err(format!("{flag} unknown edition \"{value}\".")),
        }
    }

    fn empty_argument(&self) -> String {
        format!(
            "You seem to have passed an empty string as one of the arguments to {}.  This is actually sort of hard \
             to do.  Congrats.  Unfortunately it is not valid input so the program is going to die now.",
            self.program
        )
    }

    fn search_path(&mut self, value: &str) -> Parsed<()> {
        for part in value.split(':').filter(|part| !part.is_empty()) {
            let (virtual_path, disk) = part.split_once('=').unwrap_or(("", part));
            if disk.is_empty() {
                return Err(EMPTY_PROTO_PATH.into());
            }
            // A directory may have a `=` in its name.
            let (virtual_path, disk) = match (exists(disk), exists(part)) {
                (true, _) => (virtual_path, disk),
                (false, true) => ("", part),
                (false, false) => {
                    let _ = writeln!(self.stderr, "{disk}: warning: directory does not exist.");
                    (virtual_path, disk)
                }
            };
            self.arguments.roots.push(Mapping { virtual_path: virtual_path.to_owned(), disk: disk.to_owned() });
        }
        Ok(())
    }

    fn print_mode(&mut self) -> Parsed<()> {
        if self.arguments.mode != Mode::Generate {
            return Err("Cannot use --print_free_field_numbers and use --encode, --decode or print other info at the \
                        same time."
                .into());
        }
        self.refuse_generation("--print_free_field_numbers")?;
        self.arguments.mode = Mode::PrintFreeFieldNumbers;
        Ok(())
    }

    fn refuse_generation(&self, flag: &str) -> Parsed<()> {
        if self.arguments.outputs.is_empty() && self.arguments.descriptor_set_out.is_none() {
            return Ok(());
        }
        Err(format!("Cannot use {flag} and generate code or descriptors at the same time."))
    }

    fn codec_mode(&mut self, flag: &str, value: &str) -> Parsed<()> {
        if self.arguments.mode != Mode::Generate {
            return Err("Only one of --encode and --decode can be specified.".into());
        }
        self.refuse_generation(flag)?;
        let is_raw = flag == "--decode_raw";
        if is_raw && !value.is_empty() {
            return Err("--decode_raw does not take a parameter.".into());
        }
        if !is_raw && value.is_empty() {
            let hint = if flag == "--decode" { RAW_HINT } else { "" };
            return Err(format!("Type name for {flag} cannot be blank.{hint}"));
        }
        self.arguments.mode = match flag {
            "--encode" => Mode::Encode(value.to_owned()),
            "--decode" => Mode::Decode(value.to_owned()),
            _ => Mode::DecodeRaw,
        };
        Ok(())
    }

    fn allowed_imports(&mut self, flag: &str, kind: &str, value: &str) -> Parsed<HashSet<String>> {
        self.once(flag, flag).map_err(|message| {
            format!(
                "{message} To specify multiple {kind} dependencies, pass them all as a single parameter separated by \
                 ':'."
            )
        })?;
        Ok(value.split(':').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    fn output(&mut self, flag: &str, value: &str) -> Parsed<()> {
        if self.arguments.mode != Mode::Generate {
            return Err("Cannot use --encode, --decode or print .proto info and generate code at the same time.".into());
        }
        let (parameter, directory) = value.split_once(':').unwrap_or(("", value));
        self.arguments.outputs.push(OutputDirective {
            flag: flag.to_owned(),
            parameter: parameter.to_owned(),
            directory: directory.to_owned(),
        });
        Ok(())
    }

    /// `NAME=PATH`, or a path whose last part is the name.
    fn plugin(&mut self, value: &str) {
        let (name, path) = value.split_once('=').unwrap_or_else(|| (value.rsplit('/').next().unwrap_or(value), value));
        self.arguments.plugins.insert(name.to_owned(), path.to_owned());
    }

    fn plugin_option(&mut self, flag: &str, value: &str) {
        let plugin = plugin_name(flag);
        let options = &mut self.arguments.plugin_options;
        match options.iter_mut().find(|(name, _)| *name == plugin) {
            Some((_, options)) => *options = joined(options, value),
            None => options.push((plugin, value.to_owned())),
        }
    }

    /// What only the whole of argv shows.
    fn check(&mut self) -> Parsed<()> {
        let Arguments { inputs, outputs, plugins, plugin_options, descriptor_set_out, .. } = &self.arguments;
        for (plugin, _) in plugin_options {
            let is_used = |output: &OutputDirective| !is_built_in(&output.flag) && plugin_name(&output.flag) == *plugin;
            if !plugins.contains_key(plugin) && !outputs.iter().any(is_used) {
                let name = plugin.strip_prefix("protoc-gen-").unwrap_or(plugin);
                return Err(format!("Unknown flag: --{name}_opt"));
            }
        }
        if self.arguments.mode == Mode::DecodeRaw {
            if !inputs.is_empty() {
                return Err("When using --decode_raw, no input files should be given.".into());
            }
        } else if inputs.is_empty() {
            return Err("Missing input file.".into());
        }
        let generates = self.arguments.mode == Mode::Generate;
        let writes_none = descriptor_set_out.is_none() && self.arguments.edition_defaults_out.is_none();
        if outputs.is_empty() && writes_none && generates {
            return Err("Missing output directives.".into());
        }
        if self.arguments.dependency_out.is_some() {
            if !generates {
                return Err("Can only use --dependency_out=FILE when generating code.".into());
            }
            if inputs.len() > 1 {
                return Err("Can only process one input file when using --dependency_out=FILE.".into());
            }
        }
        if self.arguments.deterministic_output && !matches!(self.arguments.mode, Mode::Encode(_)) {
            return Err("Can only use --deterministic_output with --encode.".into());
        }
        let set_only = [
            (self.arguments.include_imports, "--include_imports"),
            (self.arguments.include_source_info, "--include_source_info"),
            (self.arguments.retain_options, "--retain_options"),
        ];
        if descriptor_set_out.is_none() {
            for (_, flag) in set_only.iter().filter(|(given, _)| *given) {
                let _ = writeln!(self.stderr, "{flag} only makes sense when combined with --descriptor_set_out.");
            }
        }
        if self.arguments.roots.is_empty() && self.arguments.descriptor_set_in.is_empty() {
            self.arguments.roots.push(Mapping { virtual_path: String::new(), disk: ".".into() });
        }
        Ok(())
    }
}

/// `--x_out`, `--x_opt` -> `protoc-gen-x`.
pub(crate) fn plugin_name(flag: &str) -> String {
    let name = flag.strip_prefix("--").unwrap_or(flag);
    format!("protoc-gen-{}", name.strip_suffix("_out").or_else(|| name.strip_suffix("_opt")).unwrap_or(name))
}

/// Two lists of options as one.
pub(crate) fn joined(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first},{second}") }
}

/// True for the flags of generators that are part of this program.
fn is_built_in(flag: &str) -> bool {
    GENERATORS.contains(&flag)
}

const RAW_HINT: &str = "\nTo decode an unknown message, use --decode_raw.";

const EMPTY_PROTO_PATH: &str = "--proto_path passed empty directory name.  (Use \".\" for current directory.)";

fn exists(path: &str) -> bool {
    std::path::Path::new(path).exists()
}

/// Splits an argument into flag (empty for an input file) and value; no value means that it is the next argument.
fn split(argument: &str) -> (&str, Option<&str>) {
    if !argument.starts_with('-') || argument == "-" {
        return ("", Some(argument));
    }
    if argument.starts_with("--") {
        return match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (argument, WITHOUT_VALUE.contains(&argument).then_some("")),
        };
    }
    let end = argument.char_indices().nth(2).map_or(argument.len(), |(index, _)| index);
    let (flag, value) = argument.split_at(end);
    (flag, (!value.is_empty() || WITHOUT_VALUE.contains(&flag)).then_some(value))
}

fn missing_value(flag: &str) -> String {
    let hint = if flag == "--decode" { RAW_HINT } else { "" };
    format!("Missing value for flag: {flag}{hint}")
}

fn non_empty<'a>(flag: &str, value: &'a str) -> Parsed<&'a str> {
    if value.is_empty() { Err(format!("{flag} requires a non-empty value.")) } else { Ok(value) }
}

/// Puts the lines of `FILE` in the place of `@FILE`; one line is one argument, without quoting.
fn expand_argument_files(arguments: &[String]) -> Parsed<Vec<String>> {
    let mut expanded = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            None => expanded.push(argument.clone()),
            Some(name) => {
                let failed = || format!("Failed to open argument file: {name}");
                let bytes = crate::read::read_bounded(name.as_ref()).map_err(|_| failed())?;
                let text = String::from_utf8(bytes).map_err(|_| format!("{name}: argument file is not UTF-8"))?;
                expanded.extend(text.lines().map(str::to_owned));
            }
        }
    }
    Ok(expanded)
}
