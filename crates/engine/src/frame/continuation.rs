use super::{HEAD_LEN, Head, flag, kind};

/// A header block's first frame starts this far behind [`start_block`]'s mark.
pub(crate) const FIRST_BLOCK_LEN: usize = HEAD_LEN;

/// Leaves room for the head of a HEADERS frame whose length is not known yet; returns the mark for [`finish_block`].
pub(crate) fn start_block(out: &mut Vec<u8>) -> usize {
    let mark = out.len();
    out.extend_from_slice(&[0; HEAD_LEN]);
    mark
}

/// Puts heads before the header block written since `mark`: one HEADERS, and CONTINUATIONs when the block is longer
/// than the peer's frames may be.
pub(crate) fn finish_block(out: &mut Vec<u8>, mark: usize, stream: u32, end_stream: bool, max_frame_size: usize) {
    let block_len = out.len() - mark - FIRST_BLOCK_LEN;
    let end_stream = if end_stream { flag::END_STREAM } else { 0 };
    if block_len <= max_frame_size {
        let flags = flag::END_HEADERS | end_stream;
        let head = Head { length: block_len as u32, kind: kind::HEADERS, flags, stream };
        out[mark..mark + HEAD_LEN].copy_from_slice(&head.encode());
        return;
    }
    let block = out.split_off(mark + FIRST_BLOCK_LEN);
    out.truncate(mark);
    let last = block.len().div_ceil(max_frame_size) - 1;
    for (i, fragment) in block.chunks(max_frame_size).enumerate() {
        let (kind, first_flags) = if i == 0 { (kind::HEADERS, end_stream) } else { (kind::CONTINUATION, 0) };
        let flags = if i == last { first_flags | flag::END_HEADERS } else { first_flags };
        out.extend_from_slice(&Head { length: fragment.len() as u32, kind, flags, stream }.encode());
        out.extend_from_slice(fragment);
    }
}

#[cfg(test)]
mod tests {
    use super::{finish_block, start_block};
    use crate::frame::{HEAD_LEN, Head, flag, kind};

    fn frames(block: &[u8], max_frame_size: usize) -> Vec<(Head, Vec<u8>)> {
        let mut out = b"before".to_vec();
        let mark = start_block(&mut out);
        out.extend_from_slice(block);
        finish_block(&mut out, mark, 5, true, max_frame_size);
        let mut rest = out.strip_prefix(b"before").unwrap();
        let mut frames = Vec::new();
        while let Some((head, payload)) = rest.split_first_chunk::<HEAD_LEN>() {
            let head = Head::decode(head);
            let (payload, after) = payload.split_at(head.length as usize);
            frames.push((head, payload.to_vec()));
            rest = after;
        }
        frames
    }

    #[test]
    fn a_short_block_is_one_frame() {
        let flags = flag::END_HEADERS | flag::END_STREAM;
        let head = Head { length: 4, kind: kind::HEADERS, flags, stream: 5 };
        assert_eq!(frames(b"abcd", 4), [(head, b"abcd".to_vec())]);
    }

    #[test]
    fn a_longer_block_goes_on_in_continuations() {
        let frames = frames(b"abcdefghi", 4);
        let kinds: Vec<_> = frames.iter().map(|(head, _)| (head.kind, head.flags)).collect();
        assert_eq!(
            kinds,
            [(kind::HEADERS, flag::END_STREAM), (kind::CONTINUATION, 0), (kind::CONTINUATION, flag::END_HEADERS)]
        );
        assert_eq!(frames.concat_payloads(), b"abcdefghi");
    }

    trait Payloads {
        fn concat_payloads(&self) -> Vec<u8>;
    }

    impl Payloads for Vec<(Head, Vec<u8>)> {
        fn concat_payloads(&self) -> Vec<u8> {
            self.iter().flat_map(|(_, payload)| payload.clone()).collect()
        }
    }
}
