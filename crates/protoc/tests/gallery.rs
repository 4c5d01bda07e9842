//! `gallery.md` shows what the most common mistakes look like when they are drawn; this holds it to that. To write the
//! drawings anew: `UPDATE_GALLERY=1 cargo test -p farcall-protoc gallery`, and read what has changed.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A mistake: its files, of which the first is compiled, and the drawing.
#[derive(Default)]
struct Mistake {
    title: String,
    files: Vec<(String, String)>,
    drawing: String,
}

/// Reads a heading, files as `` `name`: `` and a `proto` block each, and a `text` block.
fn mistakes(page: &str) -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut file = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            mistakes.push(Mistake { title: title.to_owned(), ..Mistake::default() });
        }
        let Some(mistake) = mistakes.last_mut() else { continue };
        if let Some(name) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
            file = Some(name.to_owned());
        } else if line.starts_with("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let text: String = block.flat_map(|line| [line, "\n"]).collect();
            match file.take() {
                Some(name) => mistake.files.push((name, text)),
                None => mistake.drawing = text,
            }
        }
    }
    mistakes
}

fn draw(number: usize, mistake: &Mistake) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gallery-{number}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a directory");
    for (name, text) in &mistake.files {
        fs::write(folder.join(name), text).expect("a written file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_farcall-protoc"))
        .args(["-I.", "--error_format=pretty", "--python_out=.", &mistake.files[0].0])
        .current_dir(&folder)
        .output()
        .expect("the command");
    let drawing = String::from_utf8(output.stderr).expect("text");
    format!("{}\n", drawing.trim_end())
}

#[test]
fn the_gallery_is_as_it_is_drawn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery.md");
    let text = fs::read_to_string(&path).expect("the gallery");
    let mistakes = mistakes(&text);
    assert!(mistakes.len() >= 15);
    let mut page = text.split("\n## ").next().unwrap_or_default().trim_end().to_owned();
    page.push('\n');
    for (number, mistake) in mistakes.iter().enumerate() {
        let drawing = draw(number, mistake);
        if std::env::var_os("UPDATE_GALLERY").is_none() {
            assert_eq!(drawing, mistake.drawing, "{}", mistake.title);
        }
        write!(page, "\n## {}\n", mistake.title).expect("memory");
        for (name, text) in &mistake.files {
            write!(page, "\n`{name}`:\n\n```proto\n{text}```\n").expect("memory");
        }
        write!(page, "\n```text\n{drawing}```\n").expect("memory");
    }
    if page != text {
        assert!(std::env::var_os("UPDATE_GALLERY").is_some(), "the gallery is not laid out as it is written");
        fs::write(path, page).expect("the gallery can be written");
    }
}
