//! Messages of the `buffa` crate.

use crate::common::{serve, within};
use buffa::{Message, UnknownFields};
use farcall::{Code, Request, Response, Status, codec};

/// What a generated message boils down to: every field is one it does not know, and is kept.
#[derive(Clone, Default, PartialEq, Debug)]
struct Anything {
    fields: UnknownFields,
}

buffa::impl_default_instance!(Anything);

impl Message for Anything {
    fn compute_size(&self, _cache: &mut buffa::SizeCache) -> u32 {
        buffa::saturate_size(self.fields.encoded_len() as u64)
    }

    fn write_to(&self, _cache: &mut buffa::SizeCache, buffer: &mut impl buffa::EncodeSink) {
        self.fields.write_to(buffer);
    }

    fn merge_field(
        &mut self,
        tag: buffa::encoding::Tag,
        buffer: &mut impl bytes::Buf,
        context: buffa::DecodeContext<'_>,
    ) -> Result<(), buffa::DecodeError> {
        self.fields.push(buffa::encoding::decode_unknown_field(tag, buffer, context)?);
        Ok(())
    }

    fn clear(&mut self) {
        self.fields = UnknownFields::default();
    }
}

#[tokio::test]
async fn a_message_goes_both_ways() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Buffa, |request: Request<Anything>| async {
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        // Field 1, a string, and field 2, a number.
        let encoded = b"\x0a\x03Ada\x10\x07";
        let message = Anything::decode_from_slice(encoded).unwrap();
        let response: Response<Anything> =
            server.channel.unary("/test.Service/Method", codec::Buffa, Request::new(message.clone())).await.unwrap();
        assert_eq!(*response.get_ref(), message);
        let raw = crate::common::unary(&server.channel, &encoded[..]).await.unwrap();
        assert_eq!(raw, &encoded[..]);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Buffa, |request: Request<Anything>| async {
                Ok::<_, Status>(Response::new(request.into_inner()))
            });
        })
        .await;
        let status = crate::common::unary(&server.channel, "\x0a\x7f").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().starts_with("failed to decode a message: "), "{status}");
    })
    .await;
}
