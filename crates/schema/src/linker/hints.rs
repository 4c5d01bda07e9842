//! Which numbers are free, for whoever picked one that is not.

use buffa_descriptor::generated::descriptor::DescriptorProto;

use crate::limits::{FIELD_NUMBER_MAX, RESERVED_NUMBERS};
use crate::site::Site;

use super::Linker;
use super::declare::join;

const SUGGESTIONS: i32 = 3;

/// How many numbers a message lacks, and where that was first noticed.
pub(super) struct Hints {
    wanted: i32,
    first_site: Site,
}

impl Linker<'_> {
    /// Remembers that a top-level message needs as many other numbers as lie in the range.
    pub(super) fn hint(&mut self, message: Option<usize>, site: &Site, start: i32, end: i32) {
        let Some(message) = message else { return };
        let fit = |value: i32| value.clamp(0, FIELD_NUMBER_MAX);
        let hints = self.hints.entry(message).or_insert_with(|| Hints { wanted: 0, first_site: site.clone() });
        hints.wanted = fit(hints.wanted + fit(fit(end) - fit(start)));
    }

    pub(super) fn suggest_field_numbers(&mut self) {
        if self.hints.is_empty() {
            return;
        }
        let proto = self.proto();
        for (index, message) in proto.message_type.iter().enumerate() {
            let Some(hints) = self.hints.remove(&index) else { continue };
            let count = hints.wanted.min(SUGGESTIONS);
            if count <= 0 {
                continue;
            }
            let numbers: Vec<String> = free_numbers(message, count).iter().map(i32::to_string).collect();
            let full_name = self.full_name(message.name.as_deref().unwrap_or_default());
            self.error(hints.first_site, format!("Suggested field numbers for {full_name}: {}", numbers.join(", ")));
        }
    }

    /// The full name of something at the top of the file.
    pub(super) fn full_name(&self, name: &str) -> String {
        join(self.pool.file(self.id).package(), name)
    }
}

/// The lowest numbers no field, range or rule has taken.
fn free_numbers(message: &DescriptorProto, mut count: i32) -> Vec<i32> {
    let end = FIELD_NUMBER_MAX + 1;
    let mut used: Vec<(i32, i32)> = Vec::new();
    for number in message.field.iter().chain(&message.extension).filter_map(|field| field.number) {
        if (1..=FIELD_NUMBER_MAX).contains(&number) {
            used.push((number, number + 1));
        }
    }
    let reserved = message.reserved_range.iter().map(|range| (range.start, range.end));
    let extensions = message.extension_range.iter().map(|range| (range.start, range.end));
    for (start, stop) in reserved.chain(extensions) {
        let (start, stop) = (start.unwrap_or(0).clamp(0, end), stop.unwrap_or(0).clamp(0, end));
        if start < stop {
            used.push((start, stop));
        }
    }
    used.push((FIELD_NUMBER_MAX, end));
    used.push((*RESERVED_NUMBERS.start(), *RESERVED_NUMBERS.end()));
    used.sort_unstable();
    let mut free = Vec::new();
    let mut number = 1;
    for (start, stop) in used {
        while number < start && count > 0 {
            free.push(number);
            number += 1;
            count -= 1;
        }
        if count == 0 {
            break;
        }
        number = number.max(stop);
    }
    free
}
