//! The option that a key which is none was meant to be.

/// The one of `known` that `key` was probably meant to be.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A key from who knows where may be of any length.
    if key.len() > 128 {
        return None;
    }
    let most = 1 + key.len() / 10;
    known.map(|name| (distance(key, name), name)).min().filter(|(distance, _)| *distance <= most).map(|(_, name)| name)
}

/// Letters to insert, drop or replace to make one text of the other (Levenshtein's distance).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
