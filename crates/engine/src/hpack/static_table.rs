//! The static table of RFC 7541 appendix A, and the way back from a name to its index.

use super::hash;

/// Entries; HPACK counts them from 1, so index `i` is `FIELDS[i - 1]`. Fields of one name stand together.
pub(super) const FIELDS: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

const SLOTS: usize = 128;

/// Open addressing with linear probing: HPACK index of the first field of a name, or 0.
static NAMES: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut i = 0;
    while i < FIELDS.len() {
        let repeats = i > 0 && same(FIELDS[i].0, FIELDS[i - 1].0);
        if !repeats {
            let mut slot = hash(0, FIELDS[i].0) as usize % SLOTS;
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = i as u8 + 1;
        }
        i += 1;
    }
    slots
};

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// How many fields have the name of each, from it on.
pub(super) const COUNTS: [u8; FIELDS.len()] = {
    let mut counts = [1; FIELDS.len()];
    let mut i = FIELDS.len() - 1;
    while i > 0 {
        i -= 1;
        if same(FIELDS[i].0, FIELDS[i + 1].0) {
            counts[i] += counts[i + 1];
        }
    }
    counts
};

/// HPACK index of the first field of this name, or 0, where the compiler looks for it.
pub(super) const fn search_name(name: &[u8]) -> u8 {
    let mut i = 0;
    while i < FIELDS.len() {
        if same(FIELDS[i].0, name) {
            return i as u8 + 1;
        }
        i += 1;
    }
    0
}

/// HPACK index of the first field of this name, whose `hash(0, name)` the caller has, or 0.
pub(super) fn find_name(name: &[u8], name_hash: u64) -> u8 {
    let mut slot = name_hash as usize % SLOTS;
    loop {
        let index = NAMES[slot];
        if index == 0 || FIELDS[usize::from(index) - 1].0 == name {
            return index;
        }
        slot = (slot + 1) % SLOTS;
    }
}
