//! Members of large messages and enums by name and by number, so that a look-up does not read through all of them.
//!
//! An index is made when something is first looked up. It goes by where members stand, so it outlives changes to what
//! they say, but not to their number, names and order.

use std::sync::OnceLock;

use crate::hash::HashMap;
use buffa_descriptor::generated::descriptor::descriptor_proto::ExtensionRange;
use buffa_descriptor::generated::descriptor::extension_range_options::Declaration;
use buffa_descriptor::generated::descriptor::{EnumValueDescriptorProto, FieldDescriptorProto};

/// Fewer members are found sooner by reading through them.
const WORTH_IT: usize = 16;

/// What has a name and a number.
pub(crate) trait Member {
    fn name(&self) -> &str;
    fn number(&self) -> i32;
}

impl Member for FieldDescriptorProto {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn number(&self) -> i32 {
        self.number.unwrap_or(0)
    }
}

impl Member for Declaration {
    fn name(&self) -> &str {
        self.full_name.as_deref().unwrap_or_default()
    }

    fn number(&self) -> i32 {
        self.number.unwrap_or(0)
    }
}

impl Member for EnumValueDescriptorProto {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn number(&self) -> i32 {
        self.number.unwrap_or(0)
    }
}

/// Where the members of one message or enum stand. Of several with one name or number the first counts.
#[derive(Default)]
pub(crate) struct Members {
    places: OnceLock<Box<Places>>,
}

#[derive(Default)]
struct Places {
    by_name: HashMap<String, usize>,
    by_number: HashMap<i32, usize>,
}

impl Members {
    /// `members` must be the same at every call.
    pub(crate) fn by_name<'m, T: Member>(&self, members: &'m [T], name: &str) -> Option<&'m T> {
        if members.len() < WORTH_IT {
            return members.iter().find(|member| member.name() == name);
        }
        members.get(*self.places(members).by_name.get(name)?)
    }

    /// `members` must be the same at every call.
    pub(crate) fn by_number<'m, T: Member>(&self, members: &'m [T], number: i32) -> Option<&'m T> {
        if members.len() < WORTH_IT {
            return members.iter().find(|member| member.number() == number);
        }
        members.get(*self.places(members).by_number.get(&number)?)
    }

    fn places<T: Member>(&self, members: &[T]) -> &Places {
        self.places.get_or_init(|| {
            let mut places = Places::default();
            for (place, member) in members.iter().enumerate() {
                places.by_name.entry(member.name().to_owned()).or_insert(place);
                places.by_number.entry(member.number()).or_insert(place);
            }
            Box::new(places)
        })
    }
}

/// The extension ranges of one message by their numbers.
#[derive(Default)]
pub(crate) struct Ranges {
    /// By start: the range that reaches furthest among those that start here or before.
    furthest: OnceLock<Vec<Furthest>>,
}

struct Furthest {
    start: i32,
    end: i32,
    place: usize,
}

impl Ranges {
    /// Where a range stands that holds `number`; the only one if no two overlap. `ranges` must be the same at every call.
    pub(crate) fn holding(&self, ranges: &[ExtensionRange], number: i32) -> Option<usize> {
        let furthest = self.furthest.get_or_init(|| furthest(ranges));
        let after = furthest.partition_point(|range| range.start <= number);
        furthest[..after].last().filter(|range| number < range.end).map(|range| range.place)
    }
}

fn furthest(ranges: &[ExtensionRange]) -> Vec<Furthest> {
    let bounds = |range: &ExtensionRange| (range.start.unwrap_or(0), range.end.unwrap_or(0));
    let mut places: Vec<usize> = (0..ranges.len()).collect();
    places.sort_by_key(|&place| bounds(&ranges[place]));
    let mut furthest: Vec<Furthest> = Vec::with_capacity(places.len());
    for place in places {
        let (start, end) = bounds(&ranges[place]);
        let (end, place) = match furthest.last() {
            Some(before) if before.end > end => (before.end, before.place),
            _ => (end, place),
        };
        furthest.push(Furthest { start, end, place });
    }
    furthest
}

#[cfg(test)]
mod tests {
    use super::{Members, Ranges};
    use buffa_descriptor::generated::descriptor::EnumValueDescriptorProto;
    use buffa_descriptor::generated::descriptor::descriptor_proto::ExtensionRange;

    #[test]
    fn members_are_found_in_few_and_in_many() {
        for count in [3, 15, 16, 17, 1000] {
            let value = |index: i32| EnumValueDescriptorProto {
                name: Some(format!("V{}", index % (count - 1))),
                number: Some(index / 2),
                ..EnumValueDescriptorProto::default()
            };
            let values: Vec<_> = (0..count).map(value).collect();
            let members = Members::default();
            for _ in 0..2 {
                assert!(std::ptr::eq(members.by_name(&values, "V0").unwrap(), &raw const values[0]), "{count}");
                assert_eq!(members.by_number(&values, 0).unwrap().name.as_deref(), Some("V0"));
                assert_eq!(members.by_number(&values, (count - 1) / 2).unwrap().number, Some((count - 1) / 2));
                assert!(members.by_name(&values, "V").is_none());
                assert!(members.by_number(&values, -1).is_none());
            }
        }
    }

    #[test]
    fn a_number_is_in_a_range_wherever_ranges_lie() {
        let all = [(10, 20), (1, 5), (30, 31), (12, 14), (5, 5), (25, 40)];
        let ranges: Vec<_> = all
            .iter()
            .map(|&(start, end)| ExtensionRange { start: Some(start), end: Some(end), ..ExtensionRange::default() })
            .collect();
        let index = Ranges::default();
        for number in -1..50 {
            let expected = all.iter().any(|&(start, end)| start <= number && number < end);
            let found = index.holding(&ranges, number);
            assert_eq!(found.is_some(), expected, "{number}");
            assert!(found.is_none_or(|place| all[place].0 <= number && number < all[place].1));
        }
        assert!(Ranges::default().holding(&[], 1).is_none());
    }
}
