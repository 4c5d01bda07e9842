//! Maps and sets for names and numbers, of which linking looks up a great many: the standard ones with a hash function
//! that takes a fifth of the time. It is seeded at random like theirs.

use foldhash::fast::RandomState;

pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub(crate) type HashSet<K> = std::collections::HashSet<K, RandomState>;
