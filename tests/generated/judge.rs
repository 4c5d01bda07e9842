//! Generates Rust for made-up files and looks for what Rust would not take for a reason that names make: text that does not
//! parse, and two things of one name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use farcall_codegen::{Generator, OutputFile, Request, Rust, RustOptions, Schema};
use farcall_schema::Compiler;
use syn::{Item, UseTree};

/// Names and texts.
pub(crate) type Files = Vec<(String, String)>;

/// What is generated for `files`, or nothing if they are not legal.
pub(crate) fn generate(files: &Files, options: &RustOptions) -> Option<Result<Vec<OutputFile>, String>> {
    let texts: HashMap<String, Vec<u8>> =
        files.iter().map(|(name, text)| (name.clone(), text.clone().into_bytes())).collect();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let mut compiler = Compiler::new(&texts);
    let compiled = compiler.compile(&names);
    if !compiled.ok {
        return None;
    }
    let schema = Schema::new(compiled.files.iter().map(Arc::as_ref));
    let files_to_generate: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let request = Request { schema: &schema, files_to_generate: &files_to_generate, parameter: "" };
    Some(Rust { options: options.clone() }.generate(&request))
}

/// Says what is wrong with the generated code, if Rust would not take it for a reason that names make.
pub(crate) fn judge(outputs: &[OutputFile]) -> Result<(), String> {
    if outputs.iter().map(|output| &output.name).collect::<HashSet<_>>().len() != outputs.len() {
        return Err("two files of one name".into());
    }
    let parsed: Result<HashMap<&str, syn::File>, String> = outputs
        .iter()
        .map(|output| {
            let file = syn::parse_file(&output.content).map_err(|error| {
                let line = output.content.lines().nth(error.span().start().line.saturating_sub(1)).unwrap_or_default();
                format!("{}: {error}: {line}", output.name)
            })?;
            Ok((output.name.as_str(), file))
        })
        .collect();
    let parsed = parsed?;
    let tree = parsed.get("mod.rs").ok_or("no mod.rs")?;
    judge_scope("", &tree.items, &parsed)
}

/// Looks for two items of one name in a module, and goes into those below.
fn judge_scope(path: &str, items: &[Item], files: &HashMap<&str, syn::File>) -> Result<(), String> {
    let (mut types, mut values) = (HashSet::new(), HashSet::new());
    let mut pending: Vec<&Item> = items.iter().collect();
    while let Some(item) = pending.pop() {
        let (name, is_type) = match item {
            Item::Macro(included) if included.mac.path.is_ident("include") => {
                let file: syn::LitStr = included.mac.parse_body().map_err(|error| error.to_string())?;
                let file = files.get(file.value().as_str()).ok_or_else(|| format!("no file {}", file.value()))?;
                pending.extend(&file.items);
                continue;
            }
            Item::Mod(module) => {
                let inside = module.content.as_ref().map_or(&[][..], |(_, items)| items);
                judge_scope(&format!("{path}::{}", module.ident), inside, files)?;
                (module.ident.to_string(), true)
            }
            Item::Struct(item) => {
                distinct(path, item.fields.iter().filter_map(|field| field.ident.as_ref()))?;
                (item.ident.to_string(), true)
            }
            Item::Enum(item) => {
                distinct(path, item.variants.iter().map(|variant| &variant.ident))?;
                (item.ident.to_string(), true)
            }
            Item::Trait(item) => {
                distinct(
                    path,
                    item.items.iter().filter_map(|item| match item {
                        syn::TraitItem::Fn(function) => Some(&function.sig.ident),
                        syn::TraitItem::Type(item) => Some(&item.ident),
                        _ => None,
                    }),
                )?;
                (item.ident.to_string(), true)
            }
            Item::Type(item) => (item.ident.to_string(), true),
            Item::Const(item) => (item.ident.to_string(), false),
            Item::Static(item) => (item.ident.to_string(), false),
            Item::Fn(item) => (item.sig.ident.to_string(), false),
            Item::Impl(item) if item.trait_.is_none() => {
                distinct(
                    path,
                    item.items.iter().filter_map(|item| match item {
                        syn::ImplItem::Fn(function) => Some(&function.sig.ident),
                        syn::ImplItem::Const(item) => Some(&item.ident),
                        _ => None,
                    }),
                )?;
                continue;
            }
            Item::Use(item) => match last(&item.tree) {
                Some(name) => (name, name_is_type(&item.tree)),
                None => continue,
            },
            _ => continue,
        };
        let space = if is_type { &mut types } else { &mut values };
        if name != "_" && !space.insert(name.clone()) {
            return Err(format!("{path}: two things called {name}"));
        }
    }
    Ok(())
}

fn distinct<'a>(path: &str, names: impl Iterator<Item = &'a syn::Ident>) -> Result<(), String> {
    let mut taken = HashSet::new();
    for name in names.map(ToString::to_string) {
        if !taken.insert(name.clone()) {
            return Err(format!("{path}: two members called {name}"));
        }
    }
    Ok(())
}

fn last(tree: &UseTree) -> Option<String> {
    match tree {
        UseTree::Path(path) => last(&path.tree),
        UseTree::Name(name) => Some(name.ident.to_string()),
        UseTree::Rename(name) => Some(name.rename.to_string()),
        _ => None,
    }
}

/// By Rust's conventions; what generated code imports keeps to them.
fn name_is_type(tree: &UseTree) -> bool {
    last(tree).is_some_and(|name| name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase))
}
