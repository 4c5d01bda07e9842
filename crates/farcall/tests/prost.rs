//! Messages of the `prost` crate.

use crate::common::{serve, within};
use farcall::{Code, Request, Response, Status, codec};

#[derive(Clone, PartialEq, prost::Message)]
struct Person {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, repeated, tag = "2")]
    numbers: Vec<u32>,
}

#[tokio::test]
async fn a_message_goes_both_ways() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Prost, |request: Request<Person>| async {
                let mut person = request.into_inner();
                person.numbers.reverse();
                Ok::<_, Status>(Response::new(person))
            });
        })
        .await;
        let person = Person { name: "Ada".to_owned(), numbers: vec![1, 2, 3] };
        let response: Response<Person> =
            server.channel.unary("/test.Service/Method", codec::Prost, Request::new(person)).await.unwrap();
        assert_eq!(*response.get_ref(), Person { name: "Ada".to_owned(), numbers: vec![3, 2, 1] });
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    within(async {
        let server = serve(|call| {
            call.unary(codec::Prost, |request: Request<Person>| async {
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
